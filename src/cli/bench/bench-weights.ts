/**
 * The model that an inference bench runs: a trained or packed one from the disk, or a named shape with random weights in a weight type.
 *
 * Random weights need only be of realistic size. With `closedGates` they are made so that this share of the ReLU gates is closed, as after a
 * training with an L1 term: a constant feature of every token pushes all gates down by as much as that takes. The sparse model then has its
 * feed-forward by channel, the dense one fused: each in the layout that is best for it.
 */

import { Arena } from '../../arena.ts';
import type { Backend } from '../../backend.ts';
import { Engine } from '../../infer/engine.ts';
import { ffnsPerToken, type ModelConfig, resolveConfig } from '../../model/config.ts';
import { loadModel } from '../../model/load-model.ts';
import { packWeights } from '../../model/pack-weights.ts';
import { preset } from '../../model/presets.ts';
import { ffnsOf, type ModelWeights } from '../../model/weights.ts';
import { type WeightMatrix, type WeightType, weightRowBytes } from '../../tensor/weight-matrix.ts';
import { UsageError } from '../../util/errors.ts';
import { Prng } from '../../util/prng.ts';

export interface BenchWeights {
  readonly name: string;
  readonly config: ModelConfig;
  readonly dtype: WeightType | 'mixed';
  /** The same model for the dense twin and for skipping; one and the same unless the layouts differ. */
  readonly dense: ModelWeights;
  readonly sparse: ModelWeights;
  /** false: random weights. */
  readonly trained: boolean;
  /** Measured; null where nothing was asked for. */
  readonly closedGates: number | null;
  readonly bytes: number;
  /** Of the blocks' matrices, scales left out. */
  readonly blockBytes: number;
  dispose(): void;
}

/** A trained or packed model. */
export function openBenchWeights(path: string, backend: Backend): BenchWeights {
  const { config, weights, dtypes, bytes, dispose } = loadModel(path, backend);
  const [dtype] = dtypes.projections.length === 1 ? dtypes.projections : ['mixed' as const];
  const twins = { dense: weights, sparse: weights };
  return {
    name: path,
    config,
    dtype,
    ...twins,
    trained: true,
    closedGates: null,
    bytes,
    blockBytes: blockBytes(config, weights),
    dispose,
  };
}

/** Random weights of a preset. Throws UsageError for closed gates with a weight type whose weights cannot be pushed. */
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
    let sparse = dense;
    let measured: number | null = null;
    if (closedGates !== null) {
      if (dtype !== 'int8') {
        throw new UsageError(
          '--closed-gates',
          `random gates can be closed in int8 weights only, got ${dtype}. Leave --dtype out.`,
        );
      }
      sparse = packWeights(config, { seed }, { dtype, layout: 'channels' }, arena);
      measured = closeGates(config, [dense, sparse], closedGates, backend);
    }
    const { bytes } = arena;
    const dispose = () => arena.free();
    return {
      name: shape,
      config,
      dtype,
      dense,
      sparse,
      trained: false,
      closedGates: measured,
      bytes,
      blockBytes: blockBytes(config, dense),
      dispose,
    };
  } catch (error) {
    arena.free();
    throw error;
  }
}

/** Features of every token that are constant and large; enough of them that 8-bit weights push any gate down. */
const PUSHING_FEATURES = 16;
/** The outputs of o and down are made small, so that the residual stream stays the embedding and the push the same in every layer. */
const QUIET = 1e-3;

/** Returns the share of gates that is closed in the end. */
function closeGates(config: ModelConfig, models: readonly ModelWeights[], share: number, backend: Backend): number {
  for (const { embedding, layers } of models) {
    for (let row = 0; row < embedding.rows; row++) {
      for (let col = 0; col < PUSHING_FEATURES; col++) setByte(embedding, row, col, 127);
    }
    for (const { o, feedForward } of layers)
      for (const w of [o, ...ffnsOf(feedForward).map(({ down }) => down)])
        w.scale?.data.forEach((x, i, all) => {
          all[i] = x * QUIET;
        });
  }
  let [low, high] = [0, 127];
  const push = (by: number) => {
    for (const { layers } of models) {
      for (const ffn of layers.flatMap(({ feedForward }) => ffnsOf(feedForward))) {
        const gate = ffn.layout === 'fused' ? ffn.gateUp : ffn.gate;
        for (let row = 0; row < PUSHING_FEATURES; row++) {
          for (let col = 0; col < config.hiddenDim; col++) setByte(gate, row, col, -by);
        }
      }
    }
  };
  let closed = 0;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    push(middle);
    closed = closedShare(config, models[models.length - 1], backend);
    if (closed < share) low = middle;
    else high = middle;
  }
  push(high);
  return closedShare(config, models[models.length - 1], backend);
}

function closedShare(config: ModelConfig, weights: ModelWeights, backend: Backend): number {
  const engine = new Engine(config, weights, backend, { maxTokens: 8 });
  try {
    const prng = new Prng(1);
    const sequence = engine.createSequence();
    engine.run([{ sequence, ids: Array.from({ length: 8 }, () => prng.uint32() % config.vocabSize), logits: 'none' }]);
    const { down } = engine.statistics.sparsity();
    return down.reduce((sum, zeros) => sum + zeros, 0) / down.length;
  } finally {
    engine.dispose();
  }
}

function setByte(w: WeightMatrix, row: number, col: number, value: number): void {
  w.data.data[row * w.rowBytes + col] = value & 0xff;
}

/** Of the matrices that one token meets; experts are of one size. */
function blockBytes(config: ModelConfig, { layers }: ModelWeights): number {
  const bytesOf = (w: WeightMatrix) => w.rows * weightRowBytes(w.dtype, w.cols);
  return layers.reduce((sum, { qkv, o, feedForward }) => {
    const ffns = ffnsOf(feedForward).slice(0, ffnsPerToken(config));
    const inner = ffns.flatMap(({ layout, ...ffn }) => Object.values(ffn));
    return sum + [qkv, o, ...inner].reduce((bytes, w) => bytes + bytesOf(w), 0);
  }, 0);
}
