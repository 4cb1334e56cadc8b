/**
 * The paper's table 2 for a model of ours: parameters, zeros and activated parameters of each projection, from real counts.
 *
 * Projections that read the same input skip the same rows, so q, k and v are one row (QKV); gate and up are two, because up stored by
 * channel is not multiplied behind closed gates. Source: Q-Sparse (arXiv 2407.10969), table 2.
 */

import { type ProjectionPart, projectionParameters } from '../../infer/zero-counts.ts';
import { type ModelConfig, POINTS, type Point } from '../../model/config.ts';
import { type SparsityTable, unroutedParameters } from '../../model/flops.ts';
import { countParameters } from '../../model/parameters.ts';
import { mean } from '../../util/mean.ts';

export interface ActivationRow extends Record<string, unknown> {
  projection: 'QKV' | 'Out' | 'Up' | 'Gate' | 'Down' | 'Overall';
  /** Weights of all layers. */
  parameters: number;
  /** Share of its weights that nothing is multiplied with, 0 .. 1: of the zero inputs. */
  sparsity: number;
  /** Weights that a token multiplies with, on average. */
  activated: number;
}

const ROWS = [
  { projection: 'QKV', part: 'qkv' },
  { projection: 'Out', part: 'o' },
  { projection: 'Up', part: 'up' },
  { projection: 'Gate', part: 'gate' },
  { projection: 'Down', part: 'down' },
] as const;

/** One row for each projection and the sum of them. */
export function activationTable(
  config: ModelConfig,
  sparsity: Readonly<Record<ProjectionPart, readonly number[]>>,
): ActivationRow[] {
  const rows = ROWS.map(({ projection, part }): ActivationRow => {
    const parameters = projectionParameters(config, part);
    const zeros = mean(sparsity[part]);
    return { projection, parameters, sparsity: zeros, activated: (1 - zeros) * parameters };
  });
  const sum = (of: (row: ActivationRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const parameters = sum((row) => row.parameters);
  const activated = sum((row) => row.activated);
  return [...rows, { projection: 'Overall', parameters, sparsity: 1 - activated / parameters, activated }];
}

/** Parameters that a token meets, of the experts those that it is sent to; `activated` are those of them that it is multiplied with or reads. */
export interface TokenParameters {
  readonly routed: number;
  readonly activated: number;
}

/** By the sum of the rows of `activationTable`, and all that is no projection. */
export function tokenParameters(config: ModelConfig, rows: readonly ActivationRow[]): TokenParameters {
  const { parameters: blocks, activated } = rows[rows.length - 1];
  // All that is no projection is used by every token, but for the embedding: one row of it, unless it is the head too.
  const unusedRows = config.tiedEmbeddings ? 0 : (config.vocabSize - 1) * config.dim;
  const routed = countParameters(config) - unroutedParameters(config);
  return { routed, activated: routed - blocks + activated - unusedRows };
}

export type LayerRow = { layer: number } & Record<Point, number>;

/** Share of zeros at each point, one row for each layer. */
export function layerTable(config: ModelConfig, sparsity: SparsityTable): LayerRow[] {
  return Array.from({ length: config.nLayers }, (_, layer) => {
    const shares = Object.fromEntries(POINTS.map((point) => [point, sparsity[point][layer]])) as Record<Point, number>;
    return { layer, ...shares };
  });
}
