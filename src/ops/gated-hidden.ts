/**
 * The hidden activations of the gated FFN from its input: hidden [N, H] = act(x Wgate) * (x Wup), W = gate | up [D, 2 H];
 * act(g) = relu(g)^2, relu(g) or silu(g).
 *
 * Behind a closed ReLU gate hidden and both gradients are exactly 0. So the gates come first; where enough of them are closed, all that
 * follows is lists over the open ones: the values of up (computed one by one where that is cheaper than all of them),
 * hidden, its gradient, the gradients of gate and up. Only these lists are kept for the backward. Where most gates are open, and
 * behind SiLU, both halves are computed whole.
 * With a ReLU behind hidden (dReLU: relu(g) relu(u)) a channel is closed by up as well, and the lists are those of the channels where both are
 * open. The optional L1 term l1 * sum |hidden| puts its derivative straight into the backward.
 * With a threshold on the gate's activation both halves are computed whole, and what it closes is zero as behind a ReLU.
 * Source: Primer (arXiv 2109.08668) for relu^2; GLU Variants (arXiv 2002.05202); CATS (arXiv 2404.08763) for the threshold.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import type { Activation, ColumnRange } from '../backend.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import { type FloatTensor, view } from '../tensor/tensor.ts';
import { gatherIfSparse, gradientAt, listingPays, samplingPays } from './non-zeros.ts';
import { backwardProducts, denseOf, multiply, type Operand, operandOf } from './products.ts';

/**
 * dense: something behind needs all of it (a selection). any: it may be a list only. positive: a ReLU stands behind it, so that up closes a
 * channel as well; the result is the list of what is above 0.
 */
export type HiddenForm = 'dense' | 'any' | 'positive';

interface Input {
  x: Value;
  /** gate | up, [D, 2 H]. */
  weight: Weight;
  activation: Activation;
  /** Weight of sum |hidden| in the loss that is differentiated; 0 for none. */
  l1: number;
  form: HiddenForm;
  /** A channel is closed where |act(gate)| is below it; 0: by a ReLU alone. */
  threshold: number;
  /** Sees gate | up [N, 2 H], which are then computed whole. */
  observeGates?: ((gateUp: FloatTensor) => void) | undefined;
}

interface Saved extends Omit<Input, 'form' | 'observeGates'> {
  operand: Operand;
  /** Of all gates, or of the open ones: their list and the values of up behind them. */
  halves: { gateUp: FloatTensor } | { gate: SparseRows; up: FloatTensor };
}

export const gatedHidden: Op<Input, Saved> = {
  name: 'gatedHidden',

  forward(tape, { form, observeGates, ...input }) {
    const { x, weight, activation, threshold } = input;
    const shape = [x.shape[0], weight.value.shape[1] / 2] as const;
    const [gates, ups] = halvesOf(weight);
    const operand = operandOf(tape, x);
    const gateUp = tape.take([shape[0], 2 * shape[1]]);
    multiply(tape, operand, weight, gateUp, { columns: gates });

    const wantsAll = form === 'dense' || threshold > 0 || observeGates !== undefined;
    const gate = wantsAll || !hasNaturalZeros(activation) ? null : openGates(tape, gateUp, form);
    if (gate !== null) {
      const behind = { gate, up: upBehind(tape, gate, operand, weight, gateUp) };
      const halves = form === 'positive' ? bothOpen(tape, behind) : behind;
      const value = tape.take([nonZeros(halves.gate)]);
      tape.kernels.gluRows(halves.gate, halves.up, activation, value);
      const output = new Value(shape, { rows: { ...halves.gate, value }, gradientAtRows: true });
      return { output, saved: { ...input, operand, halves }, keep: [operand, halves.gate, halves.up] };
    }
    multiply(tape, operand, weight, gateUp, { columns: ups });
    const dense = tape.take(shape);
    tape.kernels.glu(gateUp, activation, dense, threshold);
    observeGates?.(gateUp);
    const output = new Value(shape, { dense });
    return { output, saved: { ...input, operand, halves: { gateUp } }, keep: [operand, gateUp] };
  },

  backward(tape, saved, dOut) {
    const { activation, l1, threshold, halves } = saved;
    const gradient = { dense: null as FloatTensor | null, rows: null as SparseRows | null };
    if ('gate' in halves) {
      const { gate, up } = halves;
      gradient.rows = tape.takeRows(gate.rows, 2 * gate.cols, 2 * nonZeros(gate));
      tape.kernels.gluRowsBackward(gate, up, gradientAt(tape, gate, dOut), activation, l1, gradient.rows);
    } else {
      gradient.dense = tape.take(halves.gateUp.shape);
      tape.kernels.gluBackward(halves.gateUp, tape.denseForm(dOut), activation, l1, gradient.dense, threshold);
      if ((threshold > 0 || hasNaturalZeros(activation)) && tape.skips.inputGradient) {
        gradient.rows = gatherIfSparse(tape, gradient.dense).rows;
      }
    }
    backwardProducts(tape, saved, gradient);
  },
};

/** Does a closed gate give exact zeros? Looking for them costs a pass, in vain behind a SiLU. */
export function hasNaturalZeros(activation: Activation): boolean {
  return activation !== 'silu';
}

/** sum |hidden| over all tokens and features, exact to f64; its gradient is that of `gatedHidden` with `l1`. */
export function sumOfMagnitudes(tape: Tape, hidden: Value): number {
  const { dense, rows } = hidden;
  const x = dense ?? view(rows!.value, [1, nonZeros(rows!)]);
  const partial = tape.takeSums(x.shape[0]);
  tape.kernels.sumAbs(x, partial, 0, x.shape[1]);
  return partial.data.reduce((sum, value) => sum + value, 0);
}

function halvesOf(weight: Weight): [gates: ColumnRange, ups: ColumnRange] {
  const count = weight.value.shape[1] / 2;
  return [
    { first: 0, count },
    { first: count, count },
  ];
}

/** The open gates with their values, or null where any form will do and so many are open that a list does not pay. */
function openGates(tape: Tape, gateUp: FloatTensor, form: 'any' | 'positive'): SparseRows | null {
  if (form === 'any' && !tape.skips.forward) return null;
  const [nTokens, twoHidden] = gateUp.shape;
  const start = tape.takeInts(nTokens + 1);
  const hiddenDim = twoHidden / 2;
  tape.kernels.countOpenGates(gateUp, hiddenDim, start);
  const open = start.data[nTokens];
  if (form === 'any' && !listingPays(open / (nTokens * hiddenDim))) return null;
  const gate = tape.takeRows(nTokens, hiddenDim, open, start);
  tape.kernels.gatherOpenGates(gateUp, gate);
  return gate;
}

/** The channels whose up is positive too. */
function bothOpen(
  tape: Tape,
  { gate, up }: { gate: SparseRows; up: FloatTensor },
): { gate: SparseRows; up: FloatTensor } {
  const start = tape.takeInts(gate.rows + 1);
  tape.kernels.countPositiveAt(gate, up, start);
  const count = start.data[gate.rows];
  const open = { gate: tape.takeRows(gate.rows, gate.cols, count, start), up: tape.take([count]) };
  tape.kernels.gatherPositiveAt(gate, up, open.gate, open.up);
  return open;
}

/** x Wup at the open gates. Uses the second half of gateUp where it computes all of it. */
function upBehind(tape: Tape, gate: SparseRows, operand: Operand, weight: Weight, gateUp: FloatTensor): FloatTensor {
  const [, ups] = halvesOf(weight);
  const up = tape.take([nonZeros(gate)]);
  if (tape.skips.up && samplingPays(gate, operand, tape.precision)) {
    const features = weight.value.shape[0];
    const channels = tape.take([ups.count, features]); // a channel of up in one run
    tape.enter('product', 'Y');
    tape.kernels.transpose(weight.value, channels, { columns: ups });
    tape.kernels.sampledMatmul(denseOf(tape, operand), channels, gate, up);
    tape.exit();
    tape.flops += 2 * nonZeros(gate) * features;
  } else {
    multiply(tape, operand, weight, gateUp, { columns: ups });
    tape.kernels.gatherAt(gateUp, ups.first, gate, up);
  }
  return up;
}
