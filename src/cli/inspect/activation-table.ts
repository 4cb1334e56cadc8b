/**
 * The paper's table 2 for a model of ours: parameters, zeros and activated parameters of each projection, from real counts.
 *
 * Projections that read the same input skip the same rows, so q, k and v are one row (QKV), gate and up two rows with the
 * same share. Source: Q-Sparse (arXiv 2407.10969), table 2.
 */

import { type ModelConfig, POINTS, type Point } from '../../model/config.ts';
import { parametersAt, type SparsityTable } from '../../model/flops.ts';

export interface ActivationRow extends Record<string, unknown> {
  projection: 'QKV' | 'Out' | 'Up' | 'Gate' | 'Down' | 'Overall';
  /** Weights of all layers. */
  parameters: number;
  /** Share of zero inputs, 0 .. 1. */
  sparsity: number;
  /** Weights that a token multiplies with, on average. */
  activated: number;
}

const ROWS = [
  { projection: 'QKV', point: 'qkv', share: 1 },
  { projection: 'Out', point: 'o', share: 1 },
  { projection: 'Up', point: 'gateUp', share: 0.5 },
  { projection: 'Gate', point: 'gateUp', share: 0.5 },
  { projection: 'Down', point: 'down', share: 1 },
] as const;

/** One row for each projection and the sum of them. */
export function activationTable(config: ModelConfig, sparsity: SparsityTable): ActivationRow[] {
  const rows = ROWS.map(({ projection, point, share }): ActivationRow => {
    const parameters = share * parametersAt(config, point) * config.nLayers;
    const zeros = mean(sparsity[point]);
    return { projection, parameters, sparsity: zeros, activated: (1 - zeros) * parameters };
  });
  const sum = (of: (row: ActivationRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const parameters = sum((row) => row.parameters);
  const activated = sum((row) => row.activated);
  return [...rows, { projection: 'Overall', parameters, sparsity: 1 - activated / parameters, activated }];
}

export type LayerRow = { layer: number } & Record<Point, number>;

/** Share of zeros at each point, one row for each layer. */
export function layerTable(config: ModelConfig, sparsity: SparsityTable): LayerRow[] {
  return Array.from({ length: config.nLayers }, (_, layer) => {
    const shares = Object.fromEntries(POINTS.map((point) => [point, sparsity[point][layer]])) as Record<Point, number>;
    return { layer, ...shares };
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
