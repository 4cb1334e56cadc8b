/** Products of one token: out[j] = sum over l of x[l] w[l, j], with x dense or sparse, and with the rows of w as outputs. */

import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf } from '../matrix-shape.ts';
import { matmul } from './matmul.ts';
import { sparseMatmul } from './sparse-matmul.ts';

export function matvec(x: FloatTensor, w: FloatTensor, out: FloatTensor, options?: { accumulate?: boolean }): void {
  matmul(asRow(x), w, asRow(out), options);
}

export function sparseMatvec(
  x: SparseRows,
  w: FloatTensor,
  out: FloatTensor,
  options?: { accumulate?: boolean },
): void {
  sparseMatmul(x, w, asRow(out), options);
}

export function matvecTransposed(x: FloatTensor, w: FloatTensor, out: FloatTensor): void {
  const n = elementsOf(out);
  const k = columnsOf(w);
  for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += x.data[l] * w.data[j * k + l];
    out.data[j] = sum;
  }
}

function asRow(vector: FloatTensor): FloatTensor {
  return { ...vector, shape: [1, elementsOf(vector)] };
}
