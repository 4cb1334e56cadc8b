/**
 * KvCache: the keys and values of one sequence, of every layer, dense and in the dtype of the weights.
 *
 * Per layer two matrices [positions, nKvHeads * headDim], row p = position p, as `attentionCached` reads them. Keys are
 * stored rotated, since their angle never changes. Q-Sparse leaves the cache alone: only inputs of projections are
 * selected. Rows past the engine's position are stale and never read, hence a reset clears nothing.
 */

import type { Arena } from '../arena.ts';
import type { ModelConfig } from '../model/config.ts';
import type { FloatTensor, FloatType } from '../tensor/tensor.ts';

export class KvCache {
  readonly keys: readonly FloatTensor[];
  readonly values: readonly FloatTensor[];
  readonly #queryWidth: number;
  readonly #width: number;

  constructor(config: ModelConfig, positions: number, dtype: FloatType, arena: Arena) {
    this.#queryWidth = config.nHeads * config.headDim;
    this.#width = config.nKvHeads * config.headDim;
    const matrices = () => Array.from({ length: config.nLayers }, () => arena.tensor(dtype, [positions, this.#width]));
    this.keys = matrices();
    this.values = matrices();
  }

  /** Copies the key and value columns of qkv [N, queries | keys | values] to the rows from `position` on. */
  write(layer: number, qkv: FloatTensor, position: number): void {
    const [rows, rowWidth] = qkv.shape;
    const width = this.#width;
    const keys = this.keys[layer].data;
    const values = this.values[layer].data;
    for (let row = 0; row < rows; row++) {
      const from = row * rowWidth + this.#queryWidth;
      const to = (position + row) * width;
      keys.set(qkv.data.subarray(from, from + width), to);
      values.set(qkv.data.subarray(from + width, from + 2 * width), to);
    }
  }
}
