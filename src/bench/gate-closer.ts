/**
 * gateCloser: random weights of which a share of the ReLU gates is closed, as after a training with an L1 term, in any weight type.
 *
 * Some features of every token are made constant and large, and in the weights of the gates their rows push all gates down alike, by as much
 * as it takes. Which gates stay open is then left to the other features: others in each layer and for each token. What attention and
 * feed-forward add is made small, so that the residual stream stays the embedding and the push the same in every layer.
 */

import type { Backend } from '../backend.ts';
import { Engine } from '../infer/engine.ts';
import type { ModelConfig } from '../model/config.ts';
import { ffnsOf, type ModelWeights } from '../model/weights.ts';
import { matrixView } from '../tensor/matrix-view.ts';
import { packMatrix } from '../tensor/pack-matrix.ts';
import { unpackRow } from '../tensor/unpack-row.ts';
import { TERNARY_CHUNK_BYTES, TERNARY_CHUNK_COLS, type WeightMatrix } from '../tensor/weight-matrix.ts';
import { Prng } from '../util/prng.ts';

/** Enough that weights of -1, 0 and 1 push nearly all gates of any shape down, few beside the features that a token keeps. */
const PUSHING_FEATURES = 64;
const QUIET = 1e-3;
/** Of the search: a share of gates to within a per cent. */
const STEPS = 8;

/**
 * Changes `models`, the same model in several layouts, and returns the function that closes a share of the gates and gives the share that it
 * closed, which may be called again and again.
 */
export function gateCloser(
  config: ModelConfig,
  models: readonly ModelWeights[],
  backend: Backend,
): (share: number) => number {
  const features = Math.min(PUSHING_FEATURES, config.dim >> 3);
  for (const { embedding, layers } of models) {
    const set = weightSetter(embedding);
    for (let row = 0; row < embedding.rows; row++) for (let col = 0; col < features; col++) set(row, col, 1);
    for (const { o, feedForward } of layers) {
      for (const w of [o, ...ffnsOf(feedForward).map(({ down }) => down)]) quieten(w);
    }
  }
  const push = (by: number) => {
    for (const { layers } of models) {
      for (const ffn of layers.flatMap(({ feedForward }) => ffnsOf(feedForward))) {
        const set = weightSetter(ffn.layout === 'fused' ? ffn.gateUp : ffn.gate);
        for (let row = 0; row < features; row++) for (let col = 0; col < config.hiddenDim; col++) set(row, col, -by);
      }
    }
    return closedShare(config, models[models.length - 1], backend);
  };
  return (share) => {
    let [low, high] = [0, 1];
    for (let step = 0; step < STEPS; step++) {
      const middle = (low + high) / 2;
      if (push(middle) < share) low = middle;
      else high = middle;
    }
    return push(high);
  };
}

function closedShare(config: ModelConfig, weights: ModelWeights, backend: Backend): number {
  const engine = new Engine(config, weights, backend, { maxTokens: 8 });
  try {
    const prng = new Prng(1);
    const sequence = engine.createSequence({ sparsity: { down: 0 } });
    engine.run([{ sequence, ids: Array.from({ length: 8 }, () => prng.uint32() % config.vocabSize), logits: 'none' }]);
    const { down } = engine.statistics.sparsity();
    return down.reduce((sum, zeros) => sum + zeros, 0) / down.length;
  } finally {
    engine.dispose();
  }
}

function quieten(w: WeightMatrix): void {
  if (w.scale !== null) {
    w.scale.data.forEach((x, i, all) => {
      all[i] = x * QUIET;
    });
    return;
  }
  const numbers = new Float32Array(w.rows * w.cols);
  for (let row = 0; row < w.rows; row++) unpackRow(w, row, numbers.subarray(row * w.cols, (row + 1) * w.cols));
  for (let i = 0; i < numbers.length; i++) numbers[i] *= QUIET;
  packMatrix(matrixView(numbers, w.rows, w.cols), w, { name: 'quiet' });
}

/**
 * Sets single weights to a share -1 .. 1 of the largest that there are; ternary ones, which have no sizes between, to -1 or 1 in this share of
 * all places.
 */
function weightSetter(w: WeightMatrix): (row: number, col: number, share: number) => void {
  const { buffer, byteOffset, byteLength } = w.data.data;
  const bytes = new DataView(buffer, byteOffset, byteLength);
  const largest = w.scale === null ? largestOf(w) : 1;
  switch (w.dtype) {
    case 'f32':
      return (row, col, share) => bytes.setFloat32(row * w.rowBytes + 4 * col, share * largest, true);
    case 'bf16':
      return (row, col, share) => bytes.setUint16(row * w.rowBytes + 2 * col, upperHalf(share * largest), true);
    case 'int8':
      return (row, col, share) => bytes.setInt8(row * w.rowBytes + col, Math.round(127 * share));
    case 'ternary':
      return (row, col, share) => {
        const within = col % TERNARY_CHUNK_COLS;
        const at = row * w.rowBytes + (col - within) / 4 + (within % TERNARY_CHUNK_BYTES);
        const shift = 2 * Math.floor(within / TERNARY_CHUNK_BYTES);
        const code = scattered(row, col) < Math.abs(share) ? Math.sign(share) + 1 : 1;
        bytes.setUint8(at, (bytes.getUint8(at) & ~(3 << shift)) | (code << shift));
      };
  }
}

/** Of the last row, where no feature pushes. */
function largestOf(w: WeightMatrix): number {
  const row = new Float32Array(w.cols);
  unpackRow(w, w.rows - 1, row);
  return row.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
}

function upperHalf(value: number): number {
  float[0] = value;
  return bits[0] >>> 16;
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** 0 .. 1, evenly and the same each time, so that a larger share keeps the places of a smaller one. */
function scattered(row: number, col: number): number {
  return (Math.imul(row * 8191 + col, 0x9e3779b1) >>> 0) / 2 ** 32;
}
