/**
 * The model that an inference bench runs, as it stands in memory; here a named shape with random weights in a weight type.
 *
 * Random weights need only be of realistic size. With `closedGates` a share of the ReLU gates is closed, as after a training with an L1 term
 * (gate-closer.ts). The sparse model then has its feed-forward by channel, the dense one fused: each in the layout that is best for it.
 */

import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { ffnsPerToken, type ModelConfig } from '../model/config.ts';
import { packWeights } from '../model/pack-weights.ts';
import { preset } from '../model/presets.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { ffnsOf, type ModelWeights } from '../model/weights.ts';
import { type WeightMatrix, type WeightType, weightRowBytes } from '../tensor/weight-matrix.ts';
import { gateCloser } from './gate-closer.ts';

export interface BenchWeights {
  readonly name: string;
  readonly config: ModelConfig;
  readonly dtype: WeightType | 'mixed';
  /** The same model for the dense twin and for skipping; one and the same unless the layouts differ. null: nothing to measure dense on. */
  readonly dense: ModelWeights | null;
  readonly sparse: ModelWeights;
  /** false: random weights. */
  readonly trained: boolean;
  /** Measured; null where nothing was asked for. */
  readonly closedGates: number | null;
  /** Of the dense twin, where there is one, and of the model with its zeros. */
  readonly bytes: { readonly dense: number; readonly sparse: number };
  /** Of the blocks' matrices, scales left out. */
  readonly blockBytes: number;
  dispose(): void;
}

/** Random weights of a preset. */
export function randomBenchWeights(
  shape: string,
  dtype: WeightType,
  closedGates: number | null,
  backend: Backend,
  seed: number,
): BenchWeights {
  const config = resolveConfig(preset(shape));
  const arena = new Arena(backend);
  try {
    const dense = packWeights(config, { seed }, { dtype }, arena);
    const denseBytes = arena.bytes;
    let sparse = dense;
    let sparseBytes = denseBytes;
    let measured: number | null = null;
    if (closedGates !== null) {
      sparse = packWeights(config, { seed }, { dtype, layout: 'channels' }, arena);
      sparseBytes = arena.bytes - denseBytes;
      measured = gateCloser(config, [dense, sparse], backend)(closedGates);
    }
    return {
      name: shape,
      config,
      dtype,
      dense,
      sparse,
      trained: false,
      closedGates: measured,
      bytes: { dense: denseBytes, sparse: sparseBytes },
      blockBytes: blockBytes(config, dense),
      dispose: () => arena.free(),
    };
  } catch (error) {
    arena.free();
    throw error;
  }
}

/** Of the matrices in the blocks that one token meets, scales left out; experts are of one size. */
export function blockBytes(config: ModelConfig, { layers }: ModelWeights): number {
  const bytesOf = (w: WeightMatrix) => w.rows * weightRowBytes(w.dtype, w.cols);
  return layers.reduce((sum, { qkv, o, feedForward }) => {
    const ffns = ffnsOf(feedForward).slice(0, ffnsPerToken(config));
    const inner = ffns.flatMap(({ layout, subNorm, ...matrices }) => Object.values(matrices));
    return sum + [qkv, o, ...inner].reduce((bytes, w) => bytes + bytesOf(w), 0);
  }, 0);
}
