/** ModelWeights from matrices and norms by their names (packed-matrices.ts): what packing in memory and reading a file end with. */

import type { Tensor } from '../tensor/tensor.ts';
import { f32Weights, type WeightMatrix } from '../tensor/weight-matrix.ts';
import type { ModelConfig } from './config.ts';
import { ffnNames } from './parameters.ts';
import { type FfnWeights, feedForwardOf, type LayerWeights, type ModelWeights } from './weights.ts';

/** Every matrix, norm and router of the configuration must be there; without a `head` the embedding table is the head. `unpacked`: what stays f32. */
export function assembleWeights(
  config: ModelConfig,
  matrices: ReadonlyMap<string, WeightMatrix>,
  unpacked: ReadonlyMap<string, Tensor<'f32'>>,
): ModelWeights {
  const matrix = (name: string) => matrices.get(name)!;
  const norm = (name: string) => unpacked.get(name)!;
  const ffn = (at: string): FfnWeights => {
    const gateUp = matrices.get(`${at}.gateUp`);
    const behind = { subNorm: unpacked.get(`${at}.ffnSubNorm`) ?? null, down: matrix(`${at}.down`) };
    return gateUp
      ? { layout: 'fused', gateUp, ...behind }
      : { layout: 'channels', gate: matrix(`${at}.gate`), up: matrix(`${at}.up`), ...behind };
  };
  const layers = Array.from({ length: config.nLayers }, (_, layer): LayerWeights => {
    const at = `layers.${layer}`;
    const router = unpacked.get(`${at}.router`);
    return {
      attentionNorm: norm(`${at}.attentionNorm`),
      qkv: matrix(`${at}.qkv`),
      qkvBias: unpacked.get(`${at}.qkvBias`) ?? null,
      qNorm: unpacked.get(`${at}.qNorm`) ?? null,
      kNorm: unpacked.get(`${at}.kNorm`) ?? null,
      attentionSubNorm: unpacked.get(`${at}.attentionSubNorm`) ?? null,
      o: matrix(`${at}.o`),
      ffnNorm: norm(`${at}.ffnNorm`),
      feedForward: feedForwardOf(router ? f32Weights(router) : null, ffnNames(config, layer).map(ffn)),
    };
  });
  const embedding = matrix('embedding');
  return { embedding, layers, norm: norm('norm'), head: matrices.get('head') ?? embedding };
}
