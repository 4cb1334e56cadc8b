/**
 * winaSource: the same dense function in other numbers, so that top-K of its inputs is WINA: the largest |x_i| ||W_i||, by the weight that an
 * input has in the product and not by its size alone (arXiv 2505.19427).
 *
 * The norm n_i of row i of a matrix [in, out] moves from the matrix into what makes its input: W_i / n_i is multiplied by x_i n_i, and the largest of the
 * latter are chosen. What makes the input is the norm in front of q, k, v and of gate and up; for o the columns of v, for down those of up; a sub-norm where
 * there is one. So nothing that selects, packs or runs a model knows of WINA, and training begins from such a model as from any other.
 *
 * Projections that share an input share its selection, hence the norms of the fused matrix. Query heads that share a head of v get one factor, the root of
 * the mean of their squares. Norms are divided by their mean, so that the sizes of activations stay what they were.
 */

import { UsageError } from '../util/errors.ts';
import { type ModelConfig, POINTS, type Point, rescales } from './config.ts';
import type { ParameterSource } from './parameter-source.ts';
import { describeParameters, type ParameterInfo, type ProjectionName } from './parameters.ts';

/** By point of one layer; for o by feature of v, and the same spread over the heads that share them. */
interface Factors extends Record<Point, Float64Array> {
  v: Float64Array;
}

/** Reads every projection twice. Throws UsageError for a model whose function would change. */
export function winaSource(source: ParameterSource): ParameterSource {
  const { config } = source;
  checkScalable(config);
  const infos = new Map(describeParameters(config).map((info) => [info.name, info]));
  const byLayer = new Map<string, Factors>();
  const factorsOf = (layer: string): Factors => {
    const known = byLayer.get(layer);
    if (known) return known;
    const norms = (point: Point) => rowNorms(source, infos.get(`layers.${layer}.${point}`)!);
    const factors = {
      qkv: norms('qkv'),
      gateUp: norms('gateUp'),
      down: norms('down'),
      ...atOutput(norms('o'), config),
    };
    byLayer.set(layer, factors);
    return factors;
  };
  const read = (parameter: ParameterInfo, out: Float32Array): void => {
    source.read(parameter, out);
    const [, layer, name] = /^layers\.(\d+)\.(.*)$/.exec(parameter.name) ?? [];
    if (name !== undefined) scale(name, parameter, out, factorsOf(layer), config.subNorms);
  };
  return { ...source, read };
}

function checkScalable(config: ModelConfig): void {
  const { nExperts, activationFormat, weightFormat, sparsifier, thresholds } = config;
  const isCalibrated =
    sparsifier === 'threshold' && POINTS.flatMap((point) => thresholds[point]).some((one) => one > 0);
  const reasons = [
    ...(nExperts > 0 ? ['a mixture of experts, whose router reads the same input'] : []),
    ...(isCalibrated ? ['thresholds for inputs as they are (calibrate what --wina makes)'] : []),
    ...(rescales(config) ? ['a model that re-scales its inputs'] : []),
    ...(activationFormat !== 'float' ? ['a model with 8-bit activations'] : []),
    ...(weightFormat !== 'float' ? ['a model with ternary weights'] : []),
  ];
  if (reasons.length === 0) return;
  throw new UsageError('wina', `expected a model whose inputs may be scaled, got ${reasons.join(' and ')}.`);
}

/** L2 norms of the rows over their mean; 1 for a row of zeros, whose input counts for nothing anyway. */
function rowNorms(source: ParameterSource, info: ParameterInfo): Float64Array {
  const [rows, cols] = info.shape;
  const numbers = new Float32Array(rows * cols);
  source.read(info, numbers);
  const norms = Float64Array.from({ length: rows }, (_, row) =>
    Math.sqrt(numbers.subarray(row * cols, (row + 1) * cols).reduce((sum, value) => sum + value * value, 0)),
  );
  const mean = norms.reduce((sum, norm) => sum + norm, 0) / rows;
  return norms.map((norm) => (norm > 0 ? norm / mean : 1));
}

/** One factor for all heads that read a head of v; without sharing, and behind a sub-norm, each has its own. */
function atOutput(norms: Float64Array, { nHeads, nKvHeads, headDim, subNorms }: ModelConfig): Pick<Factors, 'o' | 'v'> {
  const heads = nHeads / nKvHeads;
  if (subNorms) return { o: norms, v: norms };
  const featureOf = (i: number) => Math.floor(i / (heads * headDim)) * headDim + (i % headDim);
  const v = new Float64Array(nKvHeads * headDim);
  norms.forEach((norm, i) => {
    v[featureOf(i)] += norm ** 2 / heads;
  });
  v.forEach((square, i) => {
    v[i] = Math.sqrt(square);
  });
  return { v, o: norms.map((_, i) => v[featureOf(i)]) };
}

/** In place: the rows of a matrix divided by the factors of its input, what makes an input multiplied by them. */
function scale(name: string, info: ParameterInfo, out: Float32Array, factors: Factors, subNorms: boolean): void {
  const { qkv, o, v, gateUp, down } = factors;
  const rowsBy: Readonly<Record<string, Float64Array>> = { qkv, o, gateUp, down };
  const normsBy: Readonly<Record<string, Float64Array>> = {
    ...{ attentionNorm: qkv, attentionSubNorm: o, ffnNorm: gateUp, ffnSubNorm: down },
  };
  if (name in rowsBy) divideRows(out, info.shape[1], rowsBy[name]);
  if (name in normsBy) multiplyColumns(out, info, 0, normsBy[name]);
  if (subNorms) return;
  if (name === 'qkv' || name === 'qkvBias') multiplyColumns(out, info, firstOf(info, 'v'), v);
  if (name === 'gateUp') multiplyColumns(out, info, firstOf(info, 'up'), down);
}

function divideRows(numbers: Float32Array, cols: number, by: Float64Array): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] /= by[Math.floor(i / cols)];
}

function multiplyColumns(numbers: Float32Array, { shape }: ParameterInfo, first: number, by: Float64Array): void {
  const cols = shape[shape.length - 1];
  for (let row = 0; row < numbers.length; row += cols) {
    for (let i = 0; i < by.length; i++) numbers[row + first + i] *= by[i];
  }
}

function firstOf({ projections, biasOf = [] }: ParameterInfo, name: ProjectionName): number {
  return [...projections, ...biasOf].find((projection) => projection.name === name)!.first;
}
