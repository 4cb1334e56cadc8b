/** The part of check-kernels.ts that is about lists of non-zeros: counting, gathering, transposing, writing out, masking. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import {
  expectApart,
  expectCapacity,
  expectColumns,
  expectListable,
  expectMatrix,
  expectRoom,
  expectRows,
  expectSize,
  expectThreshold,
  floatTypeOf,
} from './expect-shape.ts';

export function checkRows(inner: Kernels) {
  return {
    countNonZeros(x, start, threshold) {
      const op = 'countNonZeros';
      expectThreshold(op, threshold);
      const type = floatTypeOf(op, 'x', x);
      expectListable(op, elementsOf(x)); // all of them may be other than 0
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectSize(op, 'start', start, 'i32', rowsOf(x) + 1);
      inner.countNonZeros(x, start, threshold);
    },
    gatherNonZeros(x, out, threshold) {
      const op = 'gatherNonZeros';
      expectThreshold(op, threshold);
      const type = floatTypeOf(op, 'x', x);
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectRows(op, 'out', out, type, rowsOf(x), columnsOf(x));
      inner.gatherNonZeros(x, out, threshold);
    },
    countPositiveAt(at, x, start) {
      const op = 'countPositiveAt';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, type);
      expectCapacity(op, 'x', x, type, nonZeros(at));
      expectSize(op, 'start', start, 'i32', at.rows + 1);
      inner.countPositiveAt(at, x, start);
    },
    gatherPositiveAt(at, x, out, outX) {
      const op = 'gatherPositiveAt';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, type);
      expectCapacity(op, 'x', x, type, nonZeros(at));
      expectRows(op, 'out', out, type, at.rows, at.cols);
      expectCapacity(op, 'outX', outX, type, nonZeros(out));
      inner.gatherPositiveAt(at, x, out, outX);
    },
    transposeRows(a, out) {
      const op = 'transposeRows';
      const type = floatTypeOf(op, 'a.value', a.value);
      expectRows(op, 'a', a, type);
      expectRoom(op, 'out', out, type, a.cols, a.rows, nonZeros(a));
      expectApart(op, 'out.value', out.value, 'a.value', a.value);
      inner.transposeRows(a, out);
    },
    scatterRows(a, out) {
      const op = 'scatterRows';
      const type = floatTypeOf(op, 'out', out);
      expectRows(op, 'a', a, type);
      expectMatrix(op, 'out', out, type, a.rows, a.cols);
      inner.scatterRows(a, out);
    },
    gatherAt(x, first, at, out) {
      const op = 'gatherAt';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, floatTypeOf(op, 'at.value', at.value));
      expectMatrix(op, 'x', x, type, at.rows, columnsOf(x));
      expectColumns(op, columnsOf(x), { first, count: at.cols });
      expectSize(op, 'out', out, type, nonZeros(at));
      inner.gatherAt(x, first, at, out);
    },
    maskRows(x, at, out) {
      const op = 'maskRows';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, type);
      expectMatrix(op, 'x', x, type, at.rows, at.cols);
      expectMatrix(op, 'out', out, type, at.rows, at.cols);
      inner.maskRows(x, at, out);
    },
    rescaleRows(a, norm) {
      const op = 'rescaleRows';
      const type = floatTypeOf(op, 'norm', norm);
      expectRows(op, 'a', a, type);
      expectSize(op, 'norm', norm, type, a.rows);
      inner.rescaleRows(a, norm);
    },
    rescaleRowsBackward(a, norm, gradient) {
      const op = 'rescaleRowsBackward';
      const type = floatTypeOf(op, 'gradient', gradient);
      expectRows(op, 'a', a, type);
      expectSize(op, 'norm', norm, type, a.rows);
      expectMatrix(op, 'gradient', gradient, type, a.rows, a.cols);
      inner.rescaleRowsBackward(a, norm, gradient);
    },
  } satisfies Partial<Kernels>;
}
