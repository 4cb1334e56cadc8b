/** The part of check-kernels.ts that is about the selections. */

import type { Kernels } from '../../backend.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { expectCapacity, expectMatrix, expectRoom, expectSize, floatTypeOf, mismatch } from './expect-shape.ts';

/** What the C kernel has scratch memory for. */
const MOST_NORMED = 2 ** 18;

export function checkSelection(inner: Kernels) {
  return {
    selectTopK(x, kept, out) {
      const op = 'selectTopK';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, type, rows, cols);
      expectKept(op, kept, cols);
      expectRoom(op, 'out', out, type, rows, cols, rows * kept);
      inner.selectTopK(x, kept, out);
    },
    selectInput(x, norm, kept, out, quantized) {
      const op = 'selectInput';
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, 'f32', rows, cols);
      if (norm !== null) {
        expectSize(op, 'weight of the norm', norm.weight, 'f32', cols);
        if (cols > MOST_NORMED) mismatch(op, 'features behind a norm', `at most ${MOST_NORMED}`, cols);
      }
      expectKept(op, kept, cols);
      expectRoom(op, 'out', out, 'f32', rows, cols, rows * kept);
      if (quantized !== null) {
        const { start, index, value, scale } = quantized;
        if (start !== out.start || index !== out.index) mismatch(op, 'list of quantized', 'that of out', 'another one');
        expectCapacity(op, 'quantized.value', value, 'i8', rows * kept);
        expectCapacity(op, 'quantized.scale', scale, 'f32', rows);
      }
      inner.selectInput(x, norm, kept, out, quantized);
    },
    selectBlockTopK(x, out) {
      const op = 'selectBlockTopK';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, type, rows, cols);
      const { size, kept, place } = out.blocks;
      const fits = Number.isInteger(size) && size >= 2 && size <= 256 && cols % size === 0;
      if (!fits) mismatch(op, 'size of a block', `2 .. 256 that divides ${cols}`, size);
      expectKept(op, kept, size);
      const count = rows * (cols / size) * kept;
      expectRoom(op, 'out', out, type, rows, cols, count);
      expectCapacity(op, 'places', place, 'u8', count);
      inner.selectBlockTopK(x, out);
    },
  } satisfies Partial<Kernels>;
}

function expectKept(op: string, kept: number, most: number): void {
  if (!(Number.isInteger(kept) && kept >= 1 && kept <= most)) mismatch(op, 'kept', `1 .. ${most}`, kept);
}
