/**
 * The matrices of a packed model: their names, shapes and scales, and which numbers of the f32 parameters each is made of.
 *
 * What packing writes and what reading expects are both this list. It depends on the configuration, on the layout of each layer's
 * feed-forward, and on whether the head is a matrix of its own; weight types and row strides are chosen in pack-plan.ts.
 *
 * | layout | matrices of the feed-forward |
 * | --- | --- |
 * | `fused` | `gateUp` [D, 2 H], `down` [H, D] |
 * | `channels` | `gate` [D, H]; `up` [H, D], one row per column of up; `down` [H, D]. Row h of up and row h of down lie in one run of memory |
 *
 * In a mixture every expert has these, `experts.N.gateUp` and so on, in the layout of its layer.
 */

import { type MatrixView, matrixView, transposedView, viewColumns } from '../tensor/matrix-view.ts';
import type { Columns } from '../tensor/pack-matrix.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import { featuresAt, type ModelConfig, outputsAt } from './config.ts';
import { describeParameters, ffnNames, type ParameterInfo } from './parameters.ts';
import type { FfnWeights } from './weights.ts';

export const FEED_FORWARD_LAYOUTS = ['fused', 'channels'] as const satisfies readonly FfnWeights['layout'][];
export type FeedForwardLayout = (typeof FEED_FORWARD_LAYOUTS)[number];

export interface MatrixRole {
  /** `embedding`, `layers.0.qkv`, ..., `head`. */
  readonly name: string;
  readonly part: 'embedding' | 'projection' | 'head';
  readonly rows: number;
  readonly cols: number;
  /** Of int8 and ternary weights. */
  readonly scaleAxis: WeightMatrix['scaleAxis'];
  /** The parameter that it is made of, and which columns of it, transposed or as they are. */
  readonly parameter: ParameterInfo;
  readonly columns: Columns;
  readonly transposed: boolean;
  /** Columns of the matrix that are a projection of their own; ternary weights have a scale for each. */
  readonly projections: readonly Columns[];
  /** What it is stored in: its own name, or for `up` and `down` of a channel the tensor that holds both. */
  readonly tensor: string;
}

/** The matrices in the order of the forward pass. `ownHead`: the head is stored beside the embedding table, tied or not. */
export function describeMatrices(
  config: ModelConfig,
  layouts: readonly FeedForwardLayout[],
  ownHead: boolean,
): MatrixRole[] {
  const parameters = new Map(describeParameters(config).map((info) => [info.name, info]));
  const table = (name: 'embedding' | 'head', parameter = name): MatrixRole => ({
    ...whole(name, parameters.get(parameter)!),
    part: name,
    scaleAxis: 'rows',
  });
  const roles = [table('embedding')];
  for (const [layer, layout] of layouts.entries()) {
    const of = (name: string) => parameters.get(name)!;
    const wholeOf = (name: string) => whole(name, of(name));
    roles.push(wholeOf(`layers.${layer}.qkv`), wholeOf(`layers.${layer}.o`));
    for (const at of ffnNames(config, layer)) {
      if (layout === 'fused') roles.push(wholeOf(`${at}.gateUp`), wholeOf(`${at}.down`));
      else roles.push(...channelRoles(config, at, of(`${at}.gateUp`), of(`${at}.down`)));
    }
  }
  if (ownHead) roles.push(table('head', config.tiedEmbeddings ? 'embedding' : 'head'));
  return roles;
}

/** What stays f32: the vectors of norms and biases, and routers [E, D], whose choice should not hang on rounding. */
export function describeUnpacked(config: ModelConfig): ParameterInfo[] {
  return describeParameters(config).filter(({ name, shape }) => shape.length === 1 || name.endsWith('.router'));
}

/** The f32 numbers of a matrix, from those of its parameter. */
export function sourceOf({ parameter, columns, transposed }: MatrixRole, data: Float32Array): MatrixView {
  const [rows, cols] = parameter.shape;
  const view = viewColumns(matrixView(data, rows, cols), columns.first, columns.count);
  return transposed ? transposedView(view) : view;
}

function whole(name: string, parameter: ParameterInfo): MatrixRole {
  const [rows, cols] = parameter.shape;
  const columns = { first: 0, count: cols };
  const projections = parameter.projections.length > 0 ? parameter.projections : [columns];
  const place = { rows, cols, columns, transposed: false, projections, tensor: name };
  return { name, part: 'projection', parameter, scaleAxis: 'cols', ...place };
}

function channelRoles(config: ModelConfig, at: string, gateUp: ParameterInfo, down: ParameterInfo): MatrixRole[] {
  const [dim, hiddenDim] = [config.dim, featuresAt(config, 'down')];
  const columns = { first: hiddenDim, count: outputsAt(config, 'gateUp') - hiddenDim };
  const gate = { first: 0, count: hiddenDim };
  const row = { first: 0, count: dim };
  return [
    { ...whole(`${at}.gate`, gateUp), cols: hiddenDim, columns: gate, projections: [gate] },
    {
      ...whole(`${at}.up`, gateUp),
      ...{ rows: hiddenDim, cols: dim, scaleAxis: 'rows', columns, transposed: true, projections: [row] },
      tensor: `${at}.channels`,
    },
    { ...whole(`${at}.down`, down), tensor: `${at}.channels` },
  ];
}
