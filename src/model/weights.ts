/**
 * ModelWeights: the parameters of a model as inference reads them, in any weight type.
 *
 * Projections are stored [inputs, outputs]; embedding table and head [V, D]. The feed-forward has two layouts: `fused`, gate and up in
 * one matrix [D, 2 H]; and `channels`, for gates that are mostly closed: gate [D, H], then for each channel its column of up and its row
 * of down ([H, D] each, possibly side by side in memory), of which only the open channels are read.
 */

import { type FloatTensor, shapeText, type Tensor } from '../tensor/tensor.ts';
import { isTernary } from '../tensor/ternary.ts';
import { f32Weights, type WeightMatrix } from '../tensor/weight-matrix.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { featuresAt, type ModelConfig, outputsAt } from './config.ts';
import { describeParameters, type ParameterInfo } from './parameters.ts';

export type FeedForwardWeights =
  | { readonly layout: 'fused'; readonly gateUp: WeightMatrix; readonly down: WeightMatrix }
  | {
      readonly layout: 'channels';
      /** [D, H] */
      readonly gate: WeightMatrix;
      /** [H, D], scales by row. */
      readonly up: WeightMatrix;
      /** [H, D], scales by column. */
      readonly down: WeightMatrix;
    };

export interface LayerWeights {
  /** [D] */
  readonly attentionNorm: Tensor<'f32'>;
  readonly qkv: WeightMatrix;
  /** [nHeads headDim], in front of o; null without sub-norms, as the other one. */
  readonly attentionSubNorm: Tensor<'f32'> | null;
  readonly o: WeightMatrix;
  /** [D] */
  readonly ffnNorm: Tensor<'f32'>;
  readonly feedForward: FeedForwardWeights;
  /** [H], in front of down. */
  readonly ffnSubNorm: Tensor<'f32'> | null;
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
  const { dim, hiddenDim, vocabSize, nLayers } = config;
  expectMatrix('embedding', weights.embedding, vocabSize, dim, 'rows');
  expectMatrix('head', weights.head, vocabSize, dim, 'rows');
  expectNorm('norm', weights.norm, dim);
  if (weights.layers.length !== nLayers) misfit('layers', String(nLayers), String(weights.layers.length));
  for (const [layer, weightsOfLayer] of weights.layers.entries()) {
    const at = `layers.${layer}`;
    const { attentionNorm, qkv, o, ffnNorm, feedForward } = weightsOfLayer;
    expectSubNorms(config, at, weightsOfLayer);
    expectNorm(`${at}.attentionNorm`, attentionNorm, dim);
    expectMatrix(`${at}.qkv`, qkv, dim, outputsAt(config, 'qkv'), 'cols');
    expectMatrix(`${at}.o`, o, featuresAt(config, 'o'), dim, 'cols');
    expectNorm(`${at}.ffnNorm`, ffnNorm, dim);
    expectMatrix(`${at}.down`, feedForward.down, hiddenDim, dim, 'cols');
    if (feedForward.layout === 'fused') {
      expectMatrix(`${at}.gateUp`, feedForward.gateUp, dim, 2 * hiddenDim, 'cols');
      continue;
    }
    expectMatrix(`${at}.gate`, feedForward.gate, dim, hiddenDim, 'cols');
    expectMatrix(`${at}.up`, feedForward.up, hiddenDim, dim, 'rows');
    if (config.activation === 'silu') {
      throw new UsageError('engine', `${at}: a ${config.activation} gate never closes. Store gate and up fused.`);
    }
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

function expectSubNorms(config: ModelConfig, at: string, { attentionSubNorm, ffnSubNorm }: LayerWeights): void {
  const norms = [
    [`${at}.attentionSubNorm`, attentionSubNorm, featuresAt(config, 'o')],
    [`${at}.ffnSubNorm`, ffnSubNorm, config.hiddenDim],
  ] as const;
  for (const [name, norm, width] of norms) {
    if (config.subNorms && norm !== null) expectNorm(name, norm, width);
    else if (config.subNorms || norm !== null) misfit(name, config.subNorms ? 'a norm' : 'none', norm ? 'one' : 'none');
  }
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
  const subNorm = (name: string) => (config.subNorms ? tensor(name) : null);
  const matrix = (name: string) => f32Weights(tensor(name));
  const layers = Array.from({ length: config.nLayers }, (_, layer): LayerWeights => {
    const at = `layers.${layer}`;
    return {
      attentionNorm: tensor(`${at}.attentionNorm`),
      qkv: matrix(`${at}.qkv`),
      attentionSubNorm: subNorm(`${at}.attentionSubNorm`),
      o: matrix(`${at}.o`),
      ffnNorm: tensor(`${at}.ffnNorm`),
      feedForward: { layout: 'fused', gateUp: matrix(`${at}.gateUp`), down: matrix(`${at}.down`) },
      ffnSubNorm: subNorm(`${at}.ffnSubNorm`),
    };
  });
  const embedding = matrix('embedding');
  return { embedding, layers, norm: tensor('norm'), head: config.tiedEmbeddings ? embedding : matrix('head') };
}
