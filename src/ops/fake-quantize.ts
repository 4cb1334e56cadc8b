/**
 * Activations rounded to 8 bits: y = round(x * 127 / (gamma + 1e-5)) * gamma / 127, gamma = max |x| of each token; dX = dY.
 *
 * "Fake": the values stay floats, so that every product runs as before; the integers that they stand for are what inference multiplies.
 * Behind a selection the list is rounded (it holds the largest, so that gamma is that of the whole token). Rounding has no useful
 * derivative: the gradient goes straight through, for the rounded-off as for the others. Source: Q-Sparse (arXiv 2407.10969) eq. 4 - 7.
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';
import { nonZeros } from '../tensor/sparse-rows.ts';

export const fakeQuantize: Op<{ x: Value }, { x: Value }> = {
  name: 'fakeQuantize',

  forward(tape, { x }) {
    const { rows, shape, gradientAtRows } = x;
    // Not in place: what was before is still read by others (attention by its own backward, the list by a re-scale's).
    if (rows === null) {
      const dense = tape.take(shape);
      tape.kernels.fakeQuantizeRows(x.dense!, dense);
      return { output: new Value(shape, { dense }), saved: { x }, keep: [] };
    }
    const value = tape.take([nonZeros(rows)]);
    tape.kernels.fakeQuantizeRows(rows, value);
    const output = new Value(shape, { rows: { ...rows, value }, gradientAtRows });
    return { output, saved: { x }, keep: [] };
  },

  backward(tape, { x }, dOut) {
    tape.addGradient(x, dOut);
  },
};
