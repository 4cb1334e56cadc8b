/** The part of check-kernels.ts that is about what is done element by element. */

import type { ColumnRange, Kernels } from '../../backend.ts';
import type { FloatTensor, Tensor } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { expectApart, expectColumns, expectMatrix, expectRange, expectSize, floatTypeOf } from './expect-shape.ts';

export function checkElementwise(inner: Kernels) {
  return {
    sumSquares(x, partial, first, count) {
      expectPartial('sumSquares', x, partial, { first, count });
      inner.sumSquares(x, partial, first, count);
    },
    sumAbs(x, partial, first, count) {
      expectPartial('sumAbs', x, partial, { first, count });
      inner.sumAbs(x, partial, first, count);
    },
    add(a, b, out) {
      const type = floatTypeOf('add', 'a', a);
      expectSize('add', 'a', a, type, elementsOf(a));
      expectSize('add', 'b', b, type, elementsOf(a));
      expectSize('add', 'out', out, type, elementsOf(a));
      inner.add(a, b, out);
    },
    transpose(x, out, options) {
      const op = 'transpose';
      const type = floatTypeOf(op, 'x', x);
      const { count } = options?.columns ?? { count: columnsOf(x) };
      expectColumns(op, columnsOf(x), options?.columns);
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectMatrix(op, 'out', out, type, count, rowsOf(x));
      expectApart(op, 'out', out, 'x', x);
      inner.transpose(x, out, options);
    },
    scale(x, factor) {
      expectSize('scale', 'x', x, floatTypeOf('scale', 'x', x), elementsOf(x));
      inner.scale(x, factor);
    },
    copy(from, to) {
      expectSize('copy', 'from', from, from.dtype, elementsOf(from));
      expectSize('copy', 'to', to, from.dtype, elementsOf(from));
      inner.copy(from, to);
    },
    fill(x, value) {
      expectSize('fill', 'x', x, floatTypeOf('fill', 'x', x), elementsOf(x));
      inner.fill(x, value);
    },
  } satisfies Partial<Kernels>;
}

/** A sum of some columns of each row, in f64. */
function expectPartial(op: string, x: FloatTensor, partial: Tensor<'f64'>, columns: ColumnRange): void {
  expectMatrix(op, 'x', x, floatTypeOf(op, 'x', x), rowsOf(x), columnsOf(x));
  expectSize(op, 'partial', partial, 'f64', rowsOf(x));
  expectRange(op, columns, columnsOf(x));
}
