/**
 * RMSNorm: out [N, D] = x * rstd * weight [D], rstd = 1 / sqrt(mean(x^2) + eps) per token.
 *
 * The backward needs x and rstd only, so the normed activations can go as soon as their selection is made.
 * Source: Zhang & Sennrich, Root Mean Square Layer Normalization (arXiv 1910.07467).
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import { Value } from '../autograd/value.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

interface Saved {
  x: Value;
  weight: Weight;
  rstd: FloatTensor;
}

export const rmsNorm: Op<{ x: Value; weight: Weight; eps: number }, Saved> = {
  name: 'rmsNorm',

  forward(tape, { x, weight, eps }) {
    const dense = tape.take(x.shape);
    const rstd = tape.take([x.shape[0]]);
    tape.kernels.rmsNorm(x.dense!, weight.value, eps, dense, rstd);
    return { output: new Value(x.shape, { dense }), saved: { x, weight, rstd }, keep: [x.dense!, rstd] };
  },

  backward(tape, { x, weight, rstd }, dOut) {
    const { dense, accumulate } = tape.gradientTarget(x);
    tape.kernels.rmsNormBackward(x.dense!, weight.value, rstd, tape.denseForm(dOut), dense, weight.gradient, {
      accumulate,
    });
  },
};
