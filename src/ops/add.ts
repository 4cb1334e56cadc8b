/**
 * Addition of a block's output to the residual stream: out [N, D] = a + b. Backward: dA = dB = dOut, one buffer for both.
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';

export const add: Op<{ a: Value; b: Value }, { a: Value; b: Value }> = {
  name: 'add',

  forward(tape, { a, b }) {
    const dense = tape.take(a.shape);
    tape.kernels.add(a.dense!, b.dense!, dense);
    return { output: new Value(a.shape, { dense }), saved: { a, b }, keep: [] };
  },

  backward(tape, { a, b }, dOut) {
    tape.addGradient(a, dOut);
    tape.addGradient(b, dOut);
  },
};
