/**
 * The initial values of the parameters: a function of the configuration and the seed alone, so that every backend, with any
 * number of threads, starts from the same numbers.
 */

import { Prng } from '../util/prng.ts';
import type { ModelConfig } from './config.ts';
import type { Parameter } from './parameters.ts';

/** GPT-2's choice, kept by the Llama family; for a dim of 256 to 4096 near 1 / sqrt(dim) or below it. */
const STD = 0.02;

/**
 * Fills the values of `parameters`, drawing in their order from one stream.
 *
 * | parameter | values |
 * | --- | --- |
 * | `embedding`, `head`, `qkv`, `gateUp`, `router` | normal, standard deviation 0.02 |
 * | `o`, `down` (they write to the residual stream) | normal, 0.02 / sqrt(2 nLayers), so that the sum of all blocks keeps its size |
 * | norms | 1 |
 * | biases | 0 |
 *
 * Sparsity needs nothing of its own: selecting the largest inputs keeps most of their energy.
 */
export function initParameters(parameters: readonly Parameter[], config: ModelConfig, seed: number): void {
  const prng = new Prng(seed);
  for (const { name, value, biasOf } of parameters) {
    const { data } = value;
    if (value.shape.length === 1) {
      data.fill(biasOf ? 0 : 1);
      continue;
    }
    const residual = name.endsWith('.o') || name.endsWith('.down');
    const std = residual ? STD / Math.sqrt(2 * config.nLayers) : STD;
    // Rounded to f32 for every dtype: an f64 model starts from the same point.
    for (let i = 0; i < data.length; i++) data[i] = Math.fround(std * prng.normal());
  }
}
