/**
 * Re-scaling of selected rows by their L2 norm: y = m / (||m|| + 1e-6) * sqrt(D) per token, m the masked input.
 *
 * The list is changed in place: nothing else reads the values before. Backward: the true derivative, for every feature,
 * also the dropped ones (whose m is 0: they see only the factor); what passes on to x is then the selection's affair.
 * Source: Q-Sparse (arXiv 2407.10969), section 2.1.
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

export const rescale: Op<{ x: Value }, { x: Value; norm: FloatTensor }> = {
  name: 'rescale',

  forward(tape, { x }) {
    const rows = x.rows!;
    const norm = tape.take([rows.rows]);
    tape.kernels.rescaleRows(rows, norm);
    return { output: new Value(x.shape, { rows }), saved: { x, norm }, keep: [rows, norm] };
  },

  backward(tape, { x, norm }, dOut) {
    const dense = tape.exclusive(tape.denseForm(dOut));
    tape.kernels.rescaleRowsBackward(x.rows!, norm, dense);
    tape.addGradient(x, { dense, rows: null });
  },
};
