/**
 * The parameters of a model: names, shapes, which of them decay, and which columns of a fused matrix are which projection.
 *
 * Projections that read the same input are one matrix, input-major: qkv [D, (nHeads + 2 nKvHeads) headDim], gateUp
 * [D, 2 H]. So they share one selection, and a zero input skips one long run of memory. The list here is in the order of
 * the forward pass; checkpoints, optimiser and reports go by these names. A mixture has a router [E, D] and experts, `layers.0.experts.2.gateUp`, in
 * the place of the one FFN `layers.0.gateUp`.
 */

import type { TrainedWeight, Weight } from '../autograd/parameter.ts';
import { type FloatType, sizeOf } from '../tensor/tensor.ts';
import type { TensorPool } from '../tensor-pool.ts';
import { featuresAt, type ModelConfig, outputsAt, type Point } from './config.ts';

export type ProjectionName = 'q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down';

/** Columns first .. first + count of a fused matrix [in, out]. */
export interface Projection {
  readonly name: ProjectionName;
  readonly layer: number;
  readonly first: number;
  readonly count: number;
}

export interface ParameterInfo {
  /** `embedding`, `layers.0.qkv`, ..., `norm`, and `head` where it is not the embedding table. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Subject to weight decay: every matrix but the embedding table. */
  readonly decay: boolean;
  /** Empty for all but the matrices of the blocks. */
  readonly projections: readonly Projection[];
  /** Of the bias behind a fused matrix: which of its elements belong to which projection. */
  readonly biasOf?: readonly Projection[];
}

export interface Parameter extends Weight, ParameterInfo {}

/** One that an optimiser updates. */
export interface TrainedParameter extends TrainedWeight, ParameterInfo {}

export function isTrained(parameter: Parameter): parameter is TrainedParameter {
  return parameter.gradient !== null;
}

export interface FfnParameters {
  readonly gateUp: Parameter;
  /** In front of down, [H]; null without sub-norms. */
  readonly subNorm: Parameter | null;
  readonly down: Parameter;
}

export interface LayerParameters {
  readonly attentionNorm: Parameter;
  readonly qkv: Parameter;
  /** Behind the product, as long as a row of it; null without `qkvBias`. */
  readonly qkvBias: Parameter | null;
  /** Of each head of q and of k, [headDim]; null without `qkNorm`. */
  readonly qNorm: Parameter | null;
  readonly kNorm: Parameter | null;
  /** In front of o, of the heads together; null without sub-norms. */
  readonly attentionSubNorm: Parameter | null;
  readonly o: Parameter;
  readonly ffnNorm: Parameter;
  /** [E, D]; null without experts. */
  readonly router: Parameter | null;
  /** Of each expert, or the only one. */
  readonly ffns: readonly FfnParameters[];
}

export interface ModelParameters {
  /** All of them, in the order of the forward pass. */
  readonly list: readonly Parameter[];
  readonly embedding: Parameter;
  readonly layers: readonly LayerParameters[];
  readonly norm: Parameter;
  /** The embedding table where the two are tied. */
  readonly head: Parameter;
}

/** What the names of the FFNs of a layer begin with: `layers.0`, or `layers.0.experts.0` and so on. */
export function ffnNames({ nExperts }: ModelConfig, layer: number): string[] {
  const at = `layers.${layer}`;
  return nExperts === 0 ? [at] : Array.from({ length: nExperts }, (_, expert) => `${at}.experts.${expert}`);
}

/** What a model of this configuration consists of, without any memory. */
export function describeParameters(config: ModelConfig): ParameterInfo[] {
  const { dim, vocabSize, nLayers, nExperts } = config;
  /** A norm, or another vector. */
  const norm = (name: string, width = dim) => ({ name, shape: [width], decay: false, projections: [] });
  const subNorm = (name: string, point: Point) => (config.subNorms ? [norm(name, featuresAt(config, point))] : []);
  const headNorm = (name: string) => (config.qkNorm ? [norm(name, config.headDim)] : []);
  const matrix = (layer: number, point: Point, at = `layers.${layer}`) => ({
    name: `${at}.${point}`,
    shape: [featuresAt(config, point), outputsAt(config, point)],
    decay: true,
    projections: projectionsAt(config, point, layer),
  });
  const list: ParameterInfo[] = [{ name: 'embedding', shape: [vocabSize, dim], decay: false, projections: [] }];
  for (let layer = 0; layer < nLayers; layer++) {
    const at = `layers.${layer}`;
    list.push(norm(`${at}.attentionNorm`), matrix(layer, 'qkv'));
    if (config.qkvBias) {
      const bias = norm(`${at}.qkvBias`, outputsAt(config, 'qkv'));
      list.push({ ...bias, biasOf: projectionsAt(config, 'qkv', layer) });
    }
    list.push(...headNorm(`${at}.qNorm`), ...headNorm(`${at}.kNorm`));
    list.push(...subNorm(`${at}.attentionSubNorm`, 'o'), matrix(layer, 'o'));
    list.push(norm(`${at}.ffnNorm`));
    if (nExperts > 0) list.push({ name: `${at}.router`, shape: [nExperts, dim], decay: true, projections: [] });
    for (const at of ffnNames(config, layer)) {
      list.push(matrix(layer, 'gateUp', at), ...subNorm(`${at}.ffnSubNorm`, 'down'), matrix(layer, 'down', at));
    }
  }
  list.push(norm('norm'));
  if (!config.tiedEmbeddings) list.push({ name: 'head', shape: [vocabSize, dim], decay: true, projections: [] });
  return list;
}

/** The number of parameters; a tied table counts once. */
export function countParameters(config: ModelConfig): number {
  return describeParameters(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * Takes values and gradients, all 0, from the pool, where they stay until the model is disposed of. The parameters of a frozen model have no
 * gradients.
 */
export function createParameters(
  config: ModelConfig,
  pool: TensorPool,
  dtype: FloatType,
  { frozen = false }: { frozen?: boolean } = {},
): ModelParameters {
  const list = describeParameters(config).map((info) => ({
    ...info,
    value: pool.takeZeroed(dtype, info.shape),
    gradient: frozen ? null : pool.takeZeroed(dtype, info.shape),
  }));
  const byName = new Map(list.map((parameter) => [parameter.name, parameter]));
  const layers = Array.from({ length: config.nLayers }, (_, layer) => {
    const get = (name: string) => byName.get(`layers.${layer}.${name}`)!;
    return {
      attentionNorm: get('attentionNorm'),
      qkv: get('qkv'),
      qkvBias: get('qkvBias') ?? null,
      qNorm: get('qNorm') ?? null,
      kNorm: get('kNorm') ?? null,
      attentionSubNorm: get('attentionSubNorm') ?? null,
      o: get('o'),
      ffnNorm: get('ffnNorm'),
      router: byName.get(`layers.${layer}.router`) ?? null,
      ffns: ffnNames(config, layer).map((at) => ({
        gateUp: byName.get(`${at}.gateUp`)!,
        subNorm: byName.get(`${at}.ffnSubNorm`) ?? null,
        down: byName.get(`${at}.down`)!,
      })),
    };
  });
  const embedding = byName.get('embedding')!;
  return { list, embedding, layers, norm: byName.get('norm')!, head: byName.get('head') ?? embedding };
}

function projectionsAt(config: ModelConfig, point: Point, layer: number): Projection[] {
  const { nHeads, nKvHeads, headDim, dim, hiddenDim } = config;
  const widths: Record<Point, [ProjectionName, number][]> = {
    qkv: [
      ['q', nHeads * headDim],
      ['k', nKvHeads * headDim],
      ['v', nKvHeads * headDim],
    ],
    o: [['o', dim]],
    gateUp: [
      ['gate', hiddenDim],
      ['up', hiddenDim],
    ],
    down: [['down', dim]],
  };
  let first = 0;
  return widths[point].map(([name, count]) => {
    const projection = { name, layer, first, count };
    first += count;
    return projection;
  });
}
