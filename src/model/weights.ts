/**
 * ModelWeights: the parameters of a model as inference reads them, in any weight type.
 *
 * Projections are stored [inputs, outputs]; embedding table and head [V, D]. The feed-forward has two layouts: `fused`, gate and up in
 * one matrix [D, 2 H]; and `channels`, for gates that are mostly closed: gate [D, H], then for each channel its column of up and its row
 * of down ([H, D] each, possibly side by side in memory), of which only the open channels are read. In a mixture of experts each expert is a
 * feed-forward of its own in either layout, and the router stays f32.
 */

import { type FloatTensor, shapeText, type Tensor } from '../tensor/tensor.ts';
import { isTernary } from '../tensor/ternary.ts';
import { f32Weights, type WeightMatrix } from '../tensor/weight-matrix.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { featuresAt, hasGateThresholds, type ModelConfig, outputsAt } from './config.ts';
import { describeParameters, ffnNames, type ParameterInfo } from './parameters.ts';

/** A feed-forward without a router: that of a dense model, or one expert. */
export type FfnWeights =
  | {
      readonly layout: 'fused';
      readonly gateUp: WeightMatrix;
      /** [H], in front of down; null without sub-norms. */
      readonly subNorm: Tensor<'f32'> | null;
      readonly down: WeightMatrix;
    }
  | {
      readonly layout: 'channels';
      /** [D, H] */
      readonly gate: WeightMatrix;
      /** [H, D], scales by row. */
      readonly up: WeightMatrix;
      /** [H], in front of down; null without sub-norms. */
      readonly subNorm: Tensor<'f32'> | null;
      /** [H, D], scales by column. */
      readonly down: WeightMatrix;
    };

export interface MixtureWeights {
  readonly layout: 'mixture';
  /** [E, D], f32. */
  readonly router: WeightMatrix;
  readonly experts: readonly FfnWeights[];
}

export type FeedForwardWeights = FfnWeights | MixtureWeights;

/** Every expert, or the only feed-forward. */
export function ffnsOf(feedForward: FeedForwardWeights): readonly FfnWeights[] {
  return feedForward.layout === 'mixture' ? feedForward.experts : [feedForward];
}

/** Is a feed-forward stored by channel, to be read through its open gates? */
export function isByChannel({ layers }: ModelWeights): boolean {
  return layers.some(({ feedForward }) => ffnsOf(feedForward).some(({ layout }) => layout === 'channels'));
}

export interface LayerWeights {
  /** [D] */
  readonly attentionNorm: Tensor<'f32'>;
  readonly qkv: WeightMatrix;
  /** [(nHeads + 2 nKvHeads) headDim]; null without `qkvBias`. */
  readonly qkvBias: Tensor<'f32'> | null;
  /** Of each head of q and of k, [headDim]; null without `qkNorm`. */
  readonly qNorm: Tensor<'f32'> | null;
  readonly kNorm: Tensor<'f32'> | null;
  /** [nHeads headDim], in front of o; null without sub-norms. */
  readonly attentionSubNorm: Tensor<'f32'> | null;
  readonly o: WeightMatrix;
  /** [D] */
  readonly ffnNorm: Tensor<'f32'>;
  readonly feedForward: FeedForwardWeights;
}

export interface ModelWeights {
  /** [V, D]; scales by row. */
  readonly embedding: WeightMatrix;
  readonly layers: readonly LayerWeights[];
  /** [D] */
  readonly norm: Tensor<'f32'>;
  /** [V, D]; scales by row. The embedding table where the two are tied. */
  readonly head: WeightMatrix;
}

/** Throws ShapeError that names the first matrix or norm that does not fit the configuration, UsageError for channels behind a gate that never closes. */
export function checkWeights(config: ModelConfig, weights: ModelWeights): void {
  const { dim, vocabSize, nLayers } = config;
  expectMatrix('embedding', weights.embedding, vocabSize, dim, 'rows');
  expectMatrix('head', weights.head, vocabSize, dim, 'rows');
  expectNorm('norm', weights.norm, dim);
  if (weights.layers.length !== nLayers) misfit('layers', String(nLayers), String(weights.layers.length));
  for (const [layer, { attentionNorm, o, ffnNorm, feedForward, ...attention }] of weights.layers.entries()) {
    const at = `layers.${layer}`;
    expectNorm(`${at}.attentionNorm`, attentionNorm, dim);
    checkAttention(config, at, attention);
    expectMatrix(`${at}.o`, o, featuresAt(config, 'o'), dim, 'cols');
    expectNorm(`${at}.ffnNorm`, ffnNorm, dim);
    checkFeedForward(config, layer, feedForward);
  }
}

type AttentionWeights = Pick<LayerWeights, 'qkv' | 'qkvBias' | 'qNorm' | 'kNorm' | 'attentionSubNorm'>;

function checkAttention(config: ModelConfig, at: string, weights: AttentionWeights): void {
  const { qkNorm, headDim } = config;
  const width = outputsAt(config, 'qkv');
  expectMatrix(`${at}.qkv`, weights.qkv, config.dim, width, 'cols');
  expectOptional(`${at}.qkvBias`, weights.qkvBias, width, config.qkvBias);
  expectOptional(`${at}.qNorm`, weights.qNorm, headDim, qkNorm);
  expectOptional(`${at}.kNorm`, weights.kNorm, headDim, qkNorm);
  expectOptional(`${at}.attentionSubNorm`, weights.attentionSubNorm, featuresAt(config, 'o'), config.subNorms);
}

function checkFeedForward(config: ModelConfig, layer: number, feedForward: FeedForwardWeights): void {
  const { dim, nExperts } = config;
  const ffns = ffnsOf(feedForward);
  const found = feedForward.layout === 'mixture' ? ffns.length : 0;
  if (found !== nExperts) misfit(`layers.${layer}`, `${nExperts} experts`, String(found));
  if (feedForward.layout === 'mixture') {
    const { router } = feedForward;
    if (router.dtype !== 'f32') misfit(`layers.${layer}.router`, 'f32', router.dtype);
    expectMatrix(`layers.${layer}.router`, router, nExperts, dim, 'rows');
  }
  for (const [i, at] of ffnNames(config, layer).entries()) checkFfn(config, at, ffns[i]);
}

function checkFfn(config: ModelConfig, at: string, ffn: FfnWeights): void {
  const { dim, hiddenDim } = config;
  expectOptional(`${at}.ffnSubNorm`, ffn.subNorm, hiddenDim, config.subNorms);
  expectMatrix(`${at}.down`, ffn.down, hiddenDim, dim, 'cols');
  if (ffn.layout === 'fused') {
    expectMatrix(`${at}.gateUp`, ffn.gateUp, dim, 2 * hiddenDim, 'cols');
    return;
  }
  expectMatrix(`${at}.gate`, ffn.gate, dim, hiddenDim, 'cols');
  expectMatrix(`${at}.up`, ffn.up, hiddenDim, dim, 'rows');
  if (config.activation === 'silu') {
    throw new UsageError('engine', `${at}: a ${config.activation} gate never closes. Store gate and up fused.`);
  }
  if (hasGateThresholds(config)) {
    const why = 'channels are closed by ReLUs, not by thresholds.gate';
    throw new UsageError('engine', `${at}: ${why}. Store gate and up fused.`);
  }
}

function expectMatrix(
  name: string,
  { rows, cols, scale, scaleAxis }: WeightMatrix,
  wantedRows: number,
  wantedCols: number,
  axis: WeightMatrix['scaleAxis'],
): void {
  const shape = shapeText([wantedRows, wantedCols]);
  if (rows !== wantedRows || cols !== wantedCols) misfit(name, shape, shapeText([rows, cols]));
  if (scale !== null && scaleAxis !== axis) misfit(`scales of ${name}`, `by ${axis}`, `by ${scaleAxis}`);
}

/** A vector that some models have and others have not. */
function expectOptional(name: string, vector: Tensor<'f32'> | null, width: number, wanted: boolean): void {
  if (wanted && vector !== null) expectNorm(name, vector, width);
  else if (wanted || vector !== null) misfit(name, wanted ? 'a vector' : 'none', vector ? 'one' : 'none');
}

function expectNorm(name: string, { dtype, shape }: Tensor<'f32'>, dim: number): void {
  const [expected, got] = [`f32 ${shapeText([dim])}`, `${dtype} ${shapeText(shape)}`];
  if (expected !== got) misfit(name, expected, got);
}

function misfit(name: string, expected: string, got: string): never {
  throw new ShapeError(
    'engine',
    `weights of ${name}: expected ${expected}, got ${got}. Does the configuration belong to them?`,
  );
}

/** A mixture where there is a router, else the only feed-forward. */
export function feedForwardOf(router: WeightMatrix | null, ffns: readonly FfnWeights[]): FeedForwardWeights {
  return router === null ? ffns[0] : { layout: 'mixture', router, experts: ffns };
}

/** The numbers of a parameter as they are multiplied. Throws ShapeError and UsageError as `weightsOfParameters` does. */
export function expectParameter(
  where: string,
  config: ModelConfig,
  { name, shape, projections }: ParameterInfo,
  parameters: ReadonlyMap<string, FloatTensor>,
): Float32Array {
  const tensor = parameters.get(name);
  if (!(tensor?.dtype === 'f32' && shapeText(tensor.shape) === shapeText(shape))) {
    const got = tensor ? `${tensor.dtype} ${shapeText(tensor.shape)}` : 'none of this name';
    throw new ShapeError(where, `parameter ${name}: expected f32 ${shapeText(shape)}, got ${got}.`);
  }
  if (config.weightFormat === 'ternary' && !isTernary(tensor.data, shape[shape.length - 1], projections)) {
    const expected = 'expected 0 and plus or minus one number in each projection, got latent weights';
    throw new UsageError(
      where,
      `parameter ${name} of a ternary model: ${expected}. Use multipliedParameters or loadModel.`,
    );
  }
  return tensor.data as Float32Array;
}

/**
 * The f32 parameters of training or of a checkpoint as weights, without a copy: as they are multiplied (`multipliedParameters` of a Transformer,
 * `parameters` of loadModel). Throws ShapeError for a missing parameter, another shape or dtype, UsageError for latent numbers of a
 * ternary model.
 */
export function weightsOfParameters(config: ModelConfig, parameters: ReadonlyMap<string, FloatTensor>): ModelWeights {
  for (const info of describeParameters(config)) expectParameter('engine', config, info, parameters);
  const tensor = (name: string) => parameters.get(name) as Tensor<'f32'>;
  const optional = (wanted: boolean, name: string) => (wanted ? tensor(name) : null);
  const matrix = (name: string) => f32Weights(tensor(name));
  const layers = Array.from({ length: config.nLayers }, (_, layer): LayerWeights => {
    const at = `layers.${layer}`;
    const ffns = ffnNames(config, layer).map((at): FfnWeights => {
      const subNorm = optional(config.subNorms, `${at}.ffnSubNorm`);
      return { layout: 'fused', gateUp: matrix(`${at}.gateUp`), subNorm, down: matrix(`${at}.down`) };
    });
    return {
      attentionNorm: tensor(`${at}.attentionNorm`),
      qkv: matrix(`${at}.qkv`),
      qkvBias: optional(config.qkvBias, `${at}.qkvBias`),
      qNorm: optional(config.qkNorm, `${at}.qNorm`),
      kNorm: optional(config.qkNorm, `${at}.kNorm`),
      attentionSubNorm: optional(config.subNorms, `${at}.attentionSubNorm`),
      o: matrix(`${at}.o`),
      ffnNorm: tensor(`${at}.ffnNorm`),
      feedForward: feedForwardOf(parameters.has(`${at}.router`) ? matrix(`${at}.router`) : null, ffns),
    };
  });
  const embedding = matrix('embedding');
  return { embedding, layers, norm: tensor('norm'), head: config.tiedEmbeddings ? embedding : matrix('head') };
}
