/** What works on tensors element by element, and sums over their rows. */

import type { Kernels } from '../../backend.ts';
import { BYTES_PER_ELEMENT } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { bit, type Call } from './call.ts';

export function elementKernels(
  call: Call,
): Pick<Kernels, 'sumSquares' | 'sumAbs' | 'add' | 'transpose' | 'scale' | 'copy' | 'fill'> {
  return {
    sumSquares(x, partial, first, count) {
      const rows = rowsOf(x);
      const cols = columnsOf(x);
      call('sum_squares', 4 * rows * count, x.address, partial.address, rows, cols, first, count);
    },
    sumAbs(x, partial, first, count) {
      const rows = rowsOf(x);
      const cols = columnsOf(x);
      call('sum_abs', 4 * rows * count, x.address, partial.address, rows, cols, first, count);
    },
    add(a, b, out) {
      const size = elementsOf(out);
      call('add', 12 * size, a.address, b.address, out.address, size);
    },
    transpose(x, out, options) {
      const rows = rowsOf(x);
      const stride = columnsOf(x);
      const { first, count } = options?.columns ?? { first: 0, count: stride };
      const from = x.address + 4 * first;
      call('transpose', 12 * rows * count, from, out.address, rows, count, stride, bit(options?.accumulate));
    },
    scale(x, factor) {
      call('scale', 8 * elementsOf(x), x.address, elementsOf(x), factor);
    },
    copy(from, to) {
      const bytes = elementsOf(from) * BYTES_PER_ELEMENT[from.dtype];
      call('copy', 2 * bytes, from.address, to.address, bytes);
    },
    fill(x, value) {
      call('fill', 4 * elementsOf(x), x.address, elementsOf(x), value);
    },
  };
}
