/** Dense matrix product: out[i, j] = sum over l of a[i, l] b[l, j], either side stored transposed; in bf16 of rounded a and b. */

import type { MatmulOptions } from '../../backend.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { inPrecision } from './round-to-bf16.ts';

export function matmul(a: FloatTensor, b: FloatTensor, out: FloatTensor, options: MatmulOptions = {}): void {
  const m = rowsOf(out);
  const n = columnsOf(out);
  const { first, count } = options.columns ?? { first: 0, count: n };
  const k = options.transposeA ? rowsOf(a) : columnsOf(a);
  const [aStepI, aStepL] = options.transposeA ? [1, m] : [k, 1];
  const [bStepL, bStepJ] = options.transposeB ? [1, k] : [n, 1];
  const [aData, bData] = [inPrecision(a, options).data, inPrecision(b, options).data];

  for (let i = 0; i < m; i++) {
    for (let j = first; j < first + count; j++) {
      let sum = options.accumulate ? out.data[i * n + j] : 0;
      for (let l = 0; l < k; l++) sum += aData[i * aStepI + l * aStepL] * bData[l * bStepL + j * bStepJ];
      out.data[i * n + j] = sum;
    }
  }
}
