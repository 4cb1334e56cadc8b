/**
 * The angles of rotary position embedding: feature i of a head turns by position * theta^(-2 i / headDim).
 *
 * Computed in f64 and rounded once when they are stored: at position 4000 an angle in f32 would already be wrong in its
 * fourth digit. Scaled frequencies are those of Llama 3.1 (`llama3`) and of position interpolation (`linear`, arXiv 2306.15595), as
 * `transformers` computes them. Source: RoFormer (arXiv 2104.09864); which features pair up is the rope kernel's matter.
 */

import type { ModelConfig, RopeScaling } from './config.ts';

export interface RopeTables {
  /** [positions, headDim / 2] */
  cos: Float64Array;
  /** [positions, headDim / 2] */
  sin: Float64Array;
}

/** cos and sin of every angle of positions 0 .. positions - 1. */
export function ropeTables(
  config: Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>,
  positions: number,
): RopeTables {
  const half = config.headDim / 2;
  const cos = new Float64Array(positions * half);
  const sin = new Float64Array(positions * half);
  for (let i = 0; i < half; i++) {
    const frequency = scaledFrequency(config.ropeTheta ** ((-2 * i) / config.headDim), config.ropeScaling);
    for (let position = 0; position < positions; position++) {
      cos[position * half + i] = Math.cos(position * frequency);
      sin[position * half + i] = Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}

/** A frequency, in radians a token, as the scaling leaves it. */
export function scaledFrequency(frequency: number, scaling: RopeScaling | null): number {
  if (scaling === null) return frequency;
  if (scaling.type === 'linear') return frequency / scaling.factor;
  const { factor, lowFreqFactor, highFreqFactor, originalSeqLen } = scaling;
  const turns = (originalSeqLen * frequency) / (2 * Math.PI);
  if (turns > highFreqFactor) return frequency;
  if (turns < lowFreqFactor) return frequency / factor;
  const unscaled = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return ((1 - unscaled) * frequency) / factor + unscaled * frequency;
}
