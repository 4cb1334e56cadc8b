/** The part of check-kernels.ts that is about norms of rows and of heads, and rotations. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import {
  expectCapacity,
  expectIds,
  expectMatrix,
  expectRows,
  expectSize,
  floatTypeOf,
  mismatch,
} from './expect-shape.ts';

export function checkNormAndPosition(inner: Kernels) {
  return {
    rmsNorm(x, weight, eps, out, rstd) {
      const op = 'rmsNorm';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, type, rows, cols);
      expectSize(op, 'weight', weight, type, cols);
      expectMatrix(op, 'out', out, type, rows, cols);
      expectSize(op, 'rstd', rstd, type, rows);
      inner.rmsNorm(x, weight, eps, out, rstd);
    },
    rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options) {
      const op = 'rmsNormBackward';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, type, rows, cols);
      expectSize(op, 'weight', weight, type, cols);
      expectSize(op, 'rstd', rstd, type, rows);
      expectMatrix(op, 'dOut', dOut, type, rows, cols);
      expectMatrix(op, 'dX', dX, type, rows, cols);
      expectSize(op, 'dWeight', dWeight, type, cols);
      inner.rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options);
    },
    rmsNormRows(x, weight, eps, out, rstd) {
      const op = 'rmsNormRows';
      const type = floatTypeOf(op, 'weight', weight);
      expectRows(op, 'x', x, type);
      expectSize(op, 'weight', weight, type, x.cols);
      expectCapacity(op, 'out', out, type, nonZeros(x));
      expectSize(op, 'rstd', rstd, type, x.rows);
      inner.rmsNormRows(x, weight, eps, out, rstd);
    },
    rmsNormRowsBackward(x, weight, rstd, dOut, dX, dWeight) {
      const op = 'rmsNormRowsBackward';
      const type = floatTypeOf(op, 'weight', weight);
      expectRows(op, 'x', x, type);
      expectSize(op, 'weight', weight, type, x.cols);
      expectSize(op, 'rstd', rstd, type, x.rows);
      expectCapacity(op, 'dOut', dOut, type, nonZeros(x));
      expectCapacity(op, 'dX', dX, type, nonZeros(x));
      expectSize(op, 'dWeight', dWeight, type, x.cols);
      inner.rmsNormRowsBackward(x, weight, rstd, dOut, dX, dWeight);
    },
    rope(x, positions, cos, sin, shape) {
      const op = 'rope';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      const { nRotatedHeads, headDim } = shape;
      expectMatrix(op, 'x', x, type, rows, cols);
      expectSize(op, 'positions', positions, 'i32', rows);
      if (!(headDim > 0 && headDim % 2 === 0)) mismatch(op, 'headDim', 'an even number', headDim);
      const rotated = nRotatedHeads * headDim;
      if (rotated > cols) mismatch(op, 'rotated columns', `at most ${cols}`, rotated);
      expectMatrix(op, 'cos', cos, type, rowsOf(cos), headDim / 2);
      expectMatrix(op, 'sin', sin, type, rowsOf(cos), headDim / 2);
      expectIds(op, 'positions', positions, 0, rowsOf(cos));
      inner.rope(x, positions, cos, sin, shape);
    },
  } satisfies Partial<Kernels>;
}
