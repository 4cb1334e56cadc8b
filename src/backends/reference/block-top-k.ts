/**
 * Exact selection in blocks of consecutive features: each block is a row of its own for `selectTopK`. Source: Q-Sparse (arXiv
 * 2407.10969), Block Q-Sparse (N:M).
 */

import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { selectTopK } from './top-k.ts';

export function selectBlockTopK(x: FloatTensor, kept: number, blockSize: number, out: SparseRows): void {
  const [rows, blocks] = [rowsOf(x), columnsOf(x) / blockSize];
  const start = { ...out.start, data: new Int32Array(rows * blocks + 1) };
  selectTopK({ ...x, shape: [rows * blocks, blockSize] }, kept, { ...out, start });
  for (let e = 0; e < rows * blocks * kept; e++) {
    out.index.data[e] += (Math.floor(e / kept) % blocks) * blockSize;
  }
  for (let r = 0; r <= rows; r++) out.start.data[r] = r * blocks * kept;
}
