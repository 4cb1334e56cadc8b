/**
 * ModelWeights: the parameters of a model as inference reads them, in any weight type.
 *
 * Projections are stored [inputs, outputs]; embedding table and head [V, D]. The feed-forward has two layouts: `fused`, gate and up in
 * one matrix [D, 2 H]; and `channels`, for gates that are mostly closed: gate [D, H], then for each channel its column of up and its row
 * of down ([H, D] each, possibly side by side in memory), of which only the open channels are read.
 */

import { type FloatTensor, shapeText, type Tensor } from '../tensor/tensor.ts';
import { f32Weights, type WeightMatrix } from '../tensor/weight-matrix.ts';
import { ShapeError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { describeParameters } from './parameters.ts';

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

/** The f32 parameters of training or of a checkpoint as weights, without a copy. Throws ShapeError for a missing parameter, another shape or dtype. */
export function weightsOfParameters(config: ModelConfig, parameters: ReadonlyMap<string, FloatTensor>): ModelWeights {
  for (const { name, shape } of describeParameters(config)) {
    const tensor = parameters.get(name);
    if (tensor?.dtype === 'f32' && shapeText(tensor.shape) === shapeText(shape)) continue;
    const got = tensor ? `${tensor.dtype} ${shapeText(tensor.shape)}` : 'none of this name';
    throw new ShapeError('engine', `parameter ${name}: expected f32 ${shapeText(shape)}, got ${got}.`);
  }
  const tensor = (name: string) => parameters.get(name) as Tensor<'f32'>;
  const matrix = (name: string) => f32Weights(tensor(name));
  const layers = Array.from({ length: config.nLayers }, (_, layer): LayerWeights => {
    const at = `layers.${layer}`;
    return {
      attentionNorm: tensor(`${at}.attentionNorm`),
      qkv: matrix(`${at}.qkv`),
      o: matrix(`${at}.o`),
      ffnNorm: tensor(`${at}.ffnNorm`),
      feedForward: { layout: 'fused', gateUp: matrix(`${at}.gateUp`), down: matrix(`${at}.down`) },
    };
  });
  const embedding = matrix('embedding');
  return { embedding, layers, norm: tensor('norm'), head: config.tiedEmbeddings ? embedding : matrix('head') };
}
