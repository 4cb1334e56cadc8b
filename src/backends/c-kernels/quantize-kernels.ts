/** Activations in 8 bits and ternary weights. */

import type { Kernels } from '../../backend.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import type { Call } from './call.ts';

export function quantizeKernels(call: Call): Pick<Kernels, 'quantizeRows' | 'fakeQuantizeRows' | 'ternarize'> {
  return {
    quantizeRows(x, { value, scale, rows, cols }) {
      const from = addressOf(x);
      call('quantize_rows', 8 * rows * cols, from, startOf(x), value.address, scale.address, rows, cols);
    },
    fakeQuantizeRows(x, out) {
      const rows = 'value' in x ? x.rows : rowsOf(x);
      const cols = 'value' in x ? x.cols : columnsOf(x);
      call('fake_quantize_rows', 8 * rows * cols, addressOf(x), startOf(x), out.address, rows, cols);
    },
    ternarize(w, { first, count }, { alpha, threshold }, out) {
      const rows = rowsOf(w);
      const cols = columnsOf(w);
      call('ternarize', 8 * rows * count, w.address, out.address, rows, cols, first, count, alpha, threshold);
    },
  };
}

function addressOf(x: FloatTensor | SparseRows): number {
  return 'value' in x ? x.value.address : x.address;
}

/** 0 for dense rows. */
function startOf(x: FloatTensor | SparseRows): number {
  return 'value' in x ? x.start.address : 0;
}
