/**
 * Exact selection in blocks of consecutive features: each block is a row of its own for `selectTopK`. Source: Q-Sparse (arXiv
 * 2407.10969), Block Q-Sparse (N:M).
 */

import type { BlockRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { selectTopK } from './top-k.ts';

export function selectBlockTopK(x: FloatTensor, out: BlockRows): void {
  const { size, kept, place } = out.blocks;
  const [rows, blocks] = [rowsOf(x), columnsOf(x) / size];
  const start = { ...out.start, data: new Int32Array(rows * blocks + 1) };
  selectTopK({ ...x, shape: [rows * blocks, size] }, kept, { ...out, start });
  for (let e = 0; e < rows * blocks * kept; e++) {
    place.data[e] = out.index.data[e];
    out.index.data[e] += (Math.floor(e / kept) % blocks) * size;
  }
  for (let r = 0; r <= rows; r++) out.start.data[r] = r * blocks * kept;
}
