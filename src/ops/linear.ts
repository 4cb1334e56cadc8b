/**
 * Linear projection: y [N, out] = x [N, in] W [in, out]. Backward: dW += x^T dY, dX = dY W^T. What is skipped in each of the three
 * products: `products.ts`.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import { Value } from '../autograd/value.ts';
import { backwardProducts, multiply, type Operand, operandOf } from './products.ts';

interface Saved {
  x: Value;
  /** The form of x that the forward multiplied: dW takes the same. */
  operand: Operand;
  weight: Weight;
}

export const linear: Op<{ x: Value; weight: Weight }, Saved> = {
  name: 'linear',

  forward(tape, { x, weight }) {
    const dense = tape.take([x.shape[0], weight.value.shape[1]]);
    const operand = operandOf(tape, x);
    multiply(tape, operand, weight, dense);
    const output = new Value([x.shape[0], weight.value.shape[1]], { dense });
    // A producer that wants its gradient at its non-zeros must find them.
    const keep = x.gradientAtRows ? [operand, x.rows!] : [operand];
    return { output, saved: { x, operand, weight }, keep };
  },

  backward(tape, { x, operand, weight }, dOut) {
    backwardProducts(tape, { x, operand, weight }, dOut);
  },
};
