/** Normalisation and rotary positions. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { bit, type Call } from './call.ts';

type Norm = 'rmsNorm' | 'rmsNormBackward' | 'rmsNormRows' | 'rmsNormRowsBackward' | 'rope';

export function normKernels(call: Call): Pick<Kernels, Norm> {
  return {
    rmsNorm(x, weight, eps, out, rstd) {
      const dim = elementsOf(weight);
      const rows = elementsOf(rstd);
      call('rms_norm', 8 * rows * dim, x.address, weight.address, out.address, rstd.address, rows, dim, eps);
    },
    rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options) {
      const dim = elementsOf(weight);
      const rows = elementsOf(rstd);
      const work = 12 * rows * dim;
      // The weight first: dX may be the memory of dOut.
      call('rms_norm_backward_weight', work, x.address, rstd.address, dOut.address, dWeight.address, rows, dim);
      const accumulate = bit(options?.accumulate);
      const from = dOut.address;
      call('rms_norm_backward', work, x.address, weight.address, rstd.address, from, dX.address, rows, dim, accumulate);
    },
    rmsNormRows(x, weight, eps, out, rstd) {
      const { start, index, value, rows, cols } = x;
      call(
        'rms_norm_rows',
        8 * nonZeros(x),
        start.address,
        index.address,
        value.address,
        weight.address,
        out.address,
        rstd.address,
        rows,
        cols,
        eps,
      );
    },
    rmsNormRowsBackward(x, weight, rstd, dOut, dX, dWeight) {
      const { start, index, value, rows, cols } = x;
      const work = 12 * nonZeros(x);
      // The weight first: dX may be the memory of dOut.
      call(
        'rms_norm_rows_backward_weight',
        work + cols,
        start.address,
        index.address,
        value.address,
        rstd.address,
        dOut.address,
        dWeight.address,
        rows,
        cols,
      );
      call(
        'rms_norm_rows_backward',
        work,
        start.address,
        index.address,
        value.address,
        weight.address,
        rstd.address,
        dOut.address,
        dX.address,
        rows,
        cols,
      );
    },
    rope(x, positions, cos, sin, { nRotatedHeads, headDim, inverse }) {
      const rows = rowsOf(x);
      const width = columnsOf(x);
      const work = 8 * rows * nRotatedHeads * headDim;
      call(
        'rope',
        work,
        x.address,
        positions.address,
        cos.address,
        sin.address,
        rows,
        width,
        nRotatedHeads,
        headDim,
        bit(inverse),
      );
    },
  };
}
