/** Sparse-dense product: out[i, j] = sum over the elements (i, l) of a of a[i, l] b[l, j], b optionally stored transposed; in bf16 of rounded a and b. */

import type { MatmulOptions } from '../../backend.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf } from '../matrix-shape.ts';
import { inPrecision } from './round-to-bf16.ts';

export function sparseMatmul(
  a: SparseRows,
  b: FloatTensor,
  out: FloatTensor,
  options: Omit<MatmulOptions, 'transposeA'> = {},
): void {
  const n = columnsOf(out);
  const { first, count } = options.columns ?? { first: 0, count: n };
  const [bStepL, bStepJ] = options.transposeB ? [1, a.cols] : [n, 1];
  const [start, index] = [a.start.data, a.index.data];
  const [value, bData] = [inPrecision(a.value, options).data, inPrecision(b, options).data];

  for (let i = 0; i < a.rows; i++) {
    for (let j = first; j < first + count; j++) {
      let sum = options.accumulate ? out.data[i * n + j] : 0;
      for (let e = start[i]; e < start[i + 1]; e++) sum += value[e] * bData[index[e] * bStepL + j * bStepJ];
      out.data[i * n + j] = sum;
    }
  }
}
