/** Products of f32 matrices and of lists with them. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { bit, type Call } from './call.ts';

export function productKernels(call: Call): Pick<Kernels, 'matmul' | 'sparseMatmul' | 'sampledMatmul'> {
  return {
    matmul(a, b, out, options) {
      const m = rowsOf(out);
      const stride = columnsOf(out);
      const { first, count: n } = options?.columns ?? { first: 0, count: stride };
      const transposeA = bit(options?.transposeA);
      const transposeB = bit(options?.transposeB);
      const k = transposeA ? rowsOf(a) : columnsOf(a);
      const work = 2 * m * n * k;
      call(
        'matmul',
        work,
        a.address,
        b.address + 4 * first,
        out.address + 4 * first,
        m,
        n,
        k,
        transposeA,
        transposeB,
        bit(options?.accumulate),
        stride,
        bit(options?.precision === 'bf16'),
      );
    },
    sparseMatmul(a, b, out, options) {
      const { start, index, value, rows, cols, blocks } = a;
      const stride = columnsOf(out);
      const { first, count: n } = options?.columns ?? { first: 0, count: stride };
      const transposeB = bit(options?.transposeB);
      const accumulate = bit(options?.accumulate);
      const work = 2 * nonZeros(a) * n + rows * n;
      call(
        'sparse_matmul',
        work,
        start.address,
        index.address,
        value.address,
        b.address + 4 * first,
        out.address + 4 * first,
        rows,
        n,
        cols,
        transposeB,
        accumulate,
        stride,
        bit(options?.precision === 'bf16'),
        blocks?.place.address ?? 0,
        blocks?.kept ?? 0,
        blocks?.size ?? 0,
      );
    },
    sampledMatmul(a, b, { start, index, rows, cols }, out) {
      const k = columnsOf(a);
      const work = 2 * elementsOf(out) * k + rows;
      call('sampled_matmul', work, a.address, b.address, start.address, index.address, out.address, rows, cols, k);
    },
  };
}
