/** ModelWeights from matrices and norms by their names (packed-matrices.ts): what packing in memory and reading a file end with. */

import type { Tensor } from '../tensor/tensor.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import type { ModelConfig } from './config.ts';
import type { FeedForwardWeights, LayerWeights, ModelWeights } from './weights.ts';

/** Every matrix and norm of the configuration must be there; without a `head` the embedding table is the head. */
export function assembleWeights(
  config: ModelConfig,
  matrices: ReadonlyMap<string, WeightMatrix>,
  norms: ReadonlyMap<string, Tensor<'f32'>>,
): ModelWeights {
  const matrix = (name: string) => matrices.get(name)!;
  const norm = (name: string) => norms.get(name)!;
  const layers = Array.from({ length: config.nLayers }, (_, layer): LayerWeights => {
    const at = `layers.${layer}`;
    const down = matrix(`${at}.down`);
    const gateUp = matrices.get(`${at}.gateUp`);
    const feedForward: FeedForwardWeights = gateUp
      ? { layout: 'fused', gateUp, down }
      : { layout: 'channels', gate: matrix(`${at}.gate`), up: matrix(`${at}.up`), down };
    return {
      attentionNorm: norm(`${at}.attentionNorm`),
      qkv: matrix(`${at}.qkv`),
      attentionSubNorm: norms.get(`${at}.attentionSubNorm`) ?? null,
      o: matrix(`${at}.o`),
      ffnNorm: norm(`${at}.ffnNorm`),
      feedForward,
      ffnSubNorm: norms.get(`${at}.ffnSubNorm`) ?? null,
    };
  });
  const embedding = matrix('embedding');
  return { embedding, layers, norm: norm('norm'), head: matrices.get('head') ?? embedding };
}
