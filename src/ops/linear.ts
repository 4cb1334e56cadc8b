/**
 * Linear projection: y [N, out] = x [N, in] W [in, out]. Backward: dW += x^T dY, dX = dY W^T.
 *
 * Each of the three products skips the zeros of one side where that pays:
 * - y and dW those of x, listed by a selection or by natural zeros; dW through the transposed list;
 * - dX those of dY, which are there behind a closed ReLU gate. (With a selection in front of it dX is dense: the
 *   straight-through gradient of a dropped feature is wanted.)
 * All skips are exact. Source: Q-Sparse (arXiv 2407.10969), eq. 2.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { type Gradient, Value } from '../autograd/value.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { skippingPays } from './non-zeros.ts';

interface Saved {
  x: Value;
  /** The form of x that the forward multiplied: dW takes the same. */
  operand: SparseRows | FloatTensor;
  weight: Weight;
}

export const linear: Op<{ x: Value; weight: Weight }, Saved> = {
  name: 'linear',

  forward(tape, { x, weight }) {
    const output = new Value([x.shape[0], weight.value.shape[1]], {
      dense: tape.take([x.shape[0], weight.value.shape[1]]),
    });
    const operand = skippingPays(x.rows) ? x.rows : denseForm(tape, x);
    if (isRows(operand)) tape.kernels.sparseMatmul(operand, weight.value, output.dense!);
    else tape.kernels.matmul(operand, weight.value, output.dense!);
    tape.flops += 2 * elementsOf(operand) * output.shape[1];
    return { output, saved: { x, operand, weight }, keep: [operand] };
  },

  backward(tape, { x, operand, weight }, dOut) {
    weightGradient(tape, operand, weight, dOut);
    inputGradient(tape, x, weight, dOut);
  },
};

/** dW [in, out] += x^T dY. */
function weightGradient(tape: Tape, operand: SparseRows | FloatTensor, weight: Weight, dOut: Gradient): void {
  const out = weight.value.shape[1];
  if (isRows(operand)) {
    const transposed = tape.takeRows(operand.cols, operand.rows, nonZeros(operand));
    tape.kernels.transposeRows(operand, transposed);
    tape.kernels.sparseMatmul(transposed, dOut.dense, weight.gradient, { accumulate: true });
  } else {
    tape.kernels.matmul(operand, dOut.dense, weight.gradient, { transposeA: true, accumulate: true });
  }
  tape.flops += 2 * elementsOf(operand) * out;
}

/** dX [N, in] = dY W^T. */
function inputGradient(tape: Tape, x: Value, weight: Weight, dOut: Gradient): void {
  const { dense, accumulate } = tape.gradientTarget(x);
  const operand = skippingPays(dOut.rows) ? dOut.rows : dOut.dense;
  const options = { transposeB: true, accumulate };
  if (isRows(operand)) tape.kernels.sparseMatmul(operand, weight.value, dense, options);
  else tape.kernels.matmul(operand, weight.value, dense, options);
  tape.flops += 2 * elementsOf(operand) * weight.value.shape[0];
}

function denseForm(tape: Tape, x: Value): FloatTensor {
  if (x.dense) return x.dense;
  const dense = tape.take(x.shape);
  tape.kernels.scatterRows(x.rows!, dense);
  return dense;
}

function isRows(operand: SparseRows | FloatTensor): operand is SparseRows {
  return 'rows' in operand;
}

function elementsOf(operand: SparseRows | FloatTensor): number {
  return isRows(operand) ? nonZeros(operand) : operand.data.length;
}
