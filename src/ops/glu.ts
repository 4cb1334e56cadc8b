/**
 * The gated hidden activations of the FFN: hidden [N, H] = act(gate) * up, gate and up the halves of gateUp [N, 2 H];
 * act(g) = relu(g)^2, relu(g) or silu(g).
 *
 * Where a ReLU gate is closed, hidden and the gradients of both halves are exactly 0. They are listed, so that the products
 * behind and in front skip them. The optional L1 term l1 * sum |hidden| puts its derivative straight into the backward.
 * Source: Primer (arXiv 2109.08668) for relu^2; GLU Variants (arXiv 2002.05202).
 */

import type { Op } from '../autograd/op.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import type { Activation } from '../backend.ts';
import { gatherIfSparse } from './non-zeros.ts';

interface Input {
  gateUp: Value;
  activation: Activation;
  /** Weight of sum |hidden| in the loss that is differentiated; 0 for none. */
  l1: number;
}

export const glu: Op<Input, Input> = {
  name: 'glu',

  forward(tape, { gateUp, activation, l1 }) {
    const shape = [gateUp.shape[0], gateUp.shape[1] / 2] as const;
    const dense = tape.take(shape);
    tape.kernels.glu(gateUp.dense!, activation, dense);
    return { output: new Value(shape, { dense }), saved: { gateUp, activation, l1 }, keep: [gateUp.dense!] };
  },

  backward(tape, { gateUp, activation, l1 }, dOut) {
    const dense = tape.take(gateUp.shape);
    tape.kernels.gluBackward(gateUp.dense!, dOut.dense, activation, l1, dense);
    const rows = hasNaturalZeros(activation) ? gatherIfSparse(tape, dense).rows : null;
    tape.addGradient(gateUp, { dense, rows });
  },
};

/** Does a closed gate give exact zeros? Looking for them costs a pass, in vain behind a SiLU. */
export function hasNaturalZeros(activation: Activation): boolean {
  return activation !== 'silu';
}

/** sum |hidden| over all tokens and features, exact to f64; its gradient is that of `glu` with `l1`. */
export function sumOfMagnitudes(tape: Tape, hidden: Value): number {
  const partial = tape.takeSums(hidden.shape[0]);
  tape.kernels.sumAbs(hidden.dense!, partial);
  return partial.data.reduce((sum, value) => sum + value, 0);
}
