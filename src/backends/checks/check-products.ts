/** The part of check-kernels.ts that is about the products of training: dense, sparse, and sampled. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import {
  expectApart,
  expectColumns,
  expectInner,
  expectMatrix,
  expectRows,
  expectSize,
  floatTypeOf,
} from './expect-shape.ts';

export function checkProducts(inner: Kernels) {
  return {
    matmul(a, b, out, options) {
      const op = 'matmul';
      const type = floatTypeOf(op, 'a', a);
      const m = options?.transposeA ? columnsOf(a) : rowsOf(a);
      const k = options?.transposeA ? rowsOf(a) : columnsOf(a);
      const n = options?.transposeB ? rowsOf(b) : columnsOf(b);
      expectColumns(op, n, options?.columns, options?.transposeB);
      expectMatrix(op, 'a', a, type, rowsOf(a), columnsOf(a));
      expectMatrix(op, 'b', b, type, options?.transposeB ? n : k, options?.transposeB ? k : n);
      expectMatrix(op, 'out', out, type, m, n);
      expectInner(op, k);
      expectApart(op, 'out', out, 'a', a);
      expectApart(op, 'out', out, 'b', b);
      inner.matmul(a, b, out, options);
    },
    sparseMatmul(a, b, out, options) {
      const op = 'sparseMatmul';
      const type = floatTypeOf(op, 'b', b);
      const n = options?.transposeB ? rowsOf(b) : columnsOf(b);
      expectColumns(op, n, options?.columns, options?.transposeB);
      expectRows(op, 'a', a, type);
      expectMatrix(op, 'b', b, type, options?.transposeB ? n : a.cols, options?.transposeB ? a.cols : n);
      expectMatrix(op, 'out', out, type, a.rows, n);
      expectInner(op, a.cols);
      expectApart(op, 'out', out, 'a.value', a.value);
      expectApart(op, 'out', out, 'b', b);
      inner.sparseMatmul(a, b, out, options);
    },
    sampledMatmul(a, b, at, out) {
      const op = 'sampledMatmul';
      const type = floatTypeOf(op, 'a', a);
      expectRows(op, 'at', at, floatTypeOf(op, 'at.value', at.value));
      expectMatrix(op, 'a', a, type, at.rows, columnsOf(a));
      expectMatrix(op, 'b', b, type, at.cols, columnsOf(a));
      expectSize(op, 'out', out, type, nonZeros(at));
      expectInner(op, columnsOf(a));
      inner.sampledMatmul(a, b, at, out);
    },
  } satisfies Partial<Kernels>;
}
