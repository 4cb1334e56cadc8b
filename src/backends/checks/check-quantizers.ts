/** The part of check-kernels.ts that is about the quantisers: activations in 8 bits and ternary weights. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { expectCapacity, expectMatrix, expectRange, expectRows, floatTypeOf, mismatch } from './expect-shape.ts';

export function checkQuantizers(inner: Kernels) {
  return {
    quantizeRows(x, out) {
      const op = 'quantizeRows';
      if ('value' in x) {
        expectRows(op, 'x', x, 'f32', out.rows, out.cols);
        if (out.start !== x.start || out.index !== x.index) mismatch(op, 'list of out', 'that of x', 'another one');
      } else {
        expectMatrix(op, 'x', x, 'f32', out.rows, out.cols);
        if (out.start !== null) mismatch(op, 'out', 'dense rows', 'a list');
      }
      const count = 'value' in x ? nonZeros(x) : out.rows * out.cols;
      expectCapacity(op, 'out.value', out.value, 'i8', count);
      expectCapacity(op, 'out.scale', out.scale, 'f32', out.rows);
      inner.quantizeRows(x, out);
    },
    fakeQuantizeRows(x, out) {
      const op = 'fakeQuantizeRows';
      const type = floatTypeOf(op, 'out', out);
      if ('value' in x) {
        expectRows(op, 'x', x, type);
        expectCapacity(op, 'out', out, type, nonZeros(x));
      } else {
        expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
        expectMatrix(op, 'out', out, type, rowsOf(x), columnsOf(x));
      }
      inner.fakeQuantizeRows(x, out);
    },
    ternarize(w, columns, scale, out) {
      const op = 'ternarize';
      const type = floatTypeOf(op, 'w', w);
      expectMatrix(op, 'w', w, type, rowsOf(w), columnsOf(w));
      expectMatrix(op, 'out', out, type, rowsOf(w), columnsOf(w));
      expectRange(op, columns, columnsOf(w));
      inner.ternarize(w, columns, scale, out);
    },
  } satisfies Partial<Kernels>;
}
