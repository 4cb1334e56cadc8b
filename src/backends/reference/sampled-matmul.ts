/** Sampled dense-dense product: element (i, j) of a b^T, b stored [n, k], at each position (i, j) of a list. */

import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf } from '../matrix-shape.ts';

export function sampledMatmul(a: FloatTensor, b: FloatTensor, at: SparseRows, out: FloatTensor): void {
  const k = columnsOf(a);
  for (let i = 0; i < at.rows; i++) {
    for (let e = at.start.data[i]; e < at.start.data[i + 1]; e++) {
      const j = at.index.data[e];
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a.data[i * k + l] * b.data[j * k + l];
      out.data[e] = sum;
    }
  }
}
