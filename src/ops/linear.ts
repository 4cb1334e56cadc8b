/**
 * Linear projection: y [N, out] = x [N, in] W [in, out]. Backward: dW += x^T dY, dX = dY W^T.
 *
 * Each of the three products skips the zeros of one side where that pays:
 * - y those of x, listed by a selection or by natural zeros;
 * - dX those of dY, which are there behind a closed ReLU gate. (With a selection in front of it dX is dense: the
 *   straight-through gradient of a dropped feature is wanted.)
 * - dW those of the sparser of the two, through the transposed list.
 * All skips are exact. Source: Q-Sparse (arXiv 2407.10969), eq. 2.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { type Gradient, Value } from '../autograd/value.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { skippingPays } from './non-zeros.ts';

/** Adding a transposed matrix up, in multiply-adds of the product per element: it is bound by the memory. */
const ADD_TRANSPOSED_COST = 20;

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

/** dW [in, out] += x^T dY, by the zeros of the sparser side. */
function weightGradient(tape: Tape, operand: SparseRows | FloatTensor, weight: Weight, dOut: Gradient): void {
  const [features, out] = weight.value.shape;
  const bySide = {
    x: elementsOf(operand) * out,
    dOut: dOut.rows ? nonZeros(dOut.rows) * features + ADD_TRANSPOSED_COST * features * out : Number.POSITIVE_INFINITY,
  };
  if (bySide.dOut < bySide.x) {
    weightGradientByOutput(tape, operand, weight, dOut.rows!);
    return;
  }
  if (isRows(operand)) {
    tape.kernels.sparseMatmul(transposed(tape, operand), dOut.dense, weight.gradient, { accumulate: true });
  } else {
    tape.kernels.matmul(operand, dOut.dense, weight.gradient, { transposeA: true, accumulate: true });
  }
  tape.flops += 2 * bySide.x;
}

/** The same as (dY^T x)^T: few gates are open, so that dY^T has far fewer non-zeros than x. */
function weightGradientByOutput(tape: Tape, operand: SparseRows | FloatTensor, weight: Weight, dOut: SparseRows): void {
  const [features, out] = weight.value.shape;
  const dWeight = tape.take([out, features]);
  const x = isRows(operand) ? scattered(tape, operand) : operand;
  tape.kernels.sparseMatmul(transposed(tape, dOut), x, dWeight);
  tape.kernels.addTransposed(dWeight, weight.gradient);
  tape.flops += 2 * nonZeros(dOut) * features;
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
  return x.dense ?? scattered(tape, x.rows!);
}

function scattered(tape: Tape, rows: SparseRows): FloatTensor {
  const dense = tape.take([rows.rows, rows.cols]);
  tape.kernels.scatterRows(rows, dense);
  return dense;
}

function transposed(tape: Tape, rows: SparseRows): SparseRows {
  const out = tape.takeRows(rows.cols, rows.rows, nonZeros(rows));
  tape.kernels.transposeRows(rows, out);
  return out;
}

function isRows(operand: SparseRows | FloatTensor): operand is SparseRows {
  return 'rows' in operand;
}

function elementsOf(operand: SparseRows | FloatTensor): number {
  return isRows(operand) ? nonZeros(operand) : operand.data.length;
}
