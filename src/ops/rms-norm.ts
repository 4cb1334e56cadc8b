/**
 * RMSNorm: out [N, D] = x * rstd * weight [D], rstd = 1 / sqrt(mean(x^2) + eps) per token.
 *
 * The backward needs x and rstd only, so the normed activations can go as soon as their selection is made. Of x that is a list only
 * (hidden activations behind closed gates, in front of their sub-norm) the zeros stay zeros: out is the same list with other values, and
 * the gradient is that of its elements, which is all that the producer of such a list reads.
 * Source: Zhang & Sennrich, Root Mean Square Layer Normalization (arXiv 1910.07467).
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import { nonZeros } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { gradientOrSink } from './gradient-or-sink.ts';
import { gradientAt } from './non-zeros.ts';

interface Saved {
  x: Value;
  weight: Weight;
  rstd: FloatTensor;
}

export const rmsNorm: Op<{ x: Value; weight: Weight; eps: number }, Saved> = {
  name: 'rmsNorm',

  forward(tape, { x, weight, eps }) {
    if (x.gradientAtRows) return normOfRows(tape, x, weight, eps);
    const dense = tape.take(x.shape);
    const rstd = tape.take([x.shape[0]]);
    tape.kernels.rmsNorm(x.dense!, weight.value, eps, dense, rstd);
    return { output: new Value(x.shape, { dense }), saved: { x, weight, rstd }, keep: [x.dense!, rstd] };
  },

  backward(tape, { x, weight, rstd }, dOut) {
    const dWeight = gradientOrSink(tape, weight);
    if (x.gradientAtRows) {
      const rows = x.rows!;
      const value = tape.take([nonZeros(rows)]);
      tape.kernels.rmsNormRowsBackward(rows, weight.value, rstd, gradientAt(tape, rows, dOut), value, dWeight);
      tape.addGradient(x, { dense: null, rows: { ...rows, value } });
      return;
    }
    const { dense, accumulate } = tape.gradientTarget(x);
    tape.kernels.rmsNormBackward(x.dense!, weight.value, rstd, tape.denseForm(dOut), dense, dWeight, {
      accumulate,
    });
  },
};

function normOfRows(tape: Tape, x: Value, weight: Weight, eps: number) {
  const rows = x.rows!;
  const value = tape.take([nonZeros(rows)]);
  const rstd = tape.take([rows.rows]);
  tape.kernels.rmsNormRows(rows, weight.value, eps, value, rstd);
  const output = new Value(x.shape, { rows: { ...rows, value }, gradientAtRows: true });
  return { output, saved: { x, weight, rstd }, keep: [rows, rstd] };
}
