/**
 * The three products of a projection y [N, out] = x [N, in] W [in, out], each with the zeros of one side skipped where that pays:
 *
 * - y those of x, listed by a selection or by natural zeros;
 * - dX = dY W^T those of dY, which are there behind a closed ReLU gate; or, where the producer of x asks for the gradient at its
 *   own non-zeros only, all elements of dX but those. (With a selection in front of it dX is dense: the straight-through
 *   gradient of a dropped feature is wanted.)
 * - dW = x^T dY those of the sparser of the two, through the transposed list, which takes more zeros to pay than y does.
 *
 * Of a weight with an adapter the gradients are those of its two narrow matrices, and dW is never made.
 * All skips are exact. Each can be switched off (`tape.skips`), to measure what it gains. Source: Q-Sparse (arXiv 2407.10969), eq. 2.
 */

import type { Adapter, TrainedWeight, Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Gradient, Value } from '../autograd/value.ts';
import type { ColumnRange } from '../backend.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { samplingPays, skippingPays, transposedCost } from './non-zeros.ts';

/** The form of x that a product multiplies. */
export type Operand = SparseRows | FloatTensor;

/** Adding a transposed matrix up, in multiply-adds of the dense product per element: it is bound by the memory. */
const ADD_TRANSPOSED_COST = 20;

/** x as the forward product multiplies it, and as dW does again. */
export function operandOf(tape: Tape, x: Value): Operand {
  return tape.skips.forward && skippingPays(x.rows) ? x.rows : tape.denseForm(x);
}

/** out [N, out] = operand W, or only those columns of both. */
export function multiply(
  tape: Tape,
  operand: Operand,
  weight: Weight,
  out: FloatTensor,
  options: { columns?: ColumnRange } = {},
): void {
  const all = { ...options, precision: tape.precision };
  tape.enter('product', 'Y');
  if (isRows(operand)) tape.kernels.sparseMatmul(operand, weight.value, out, all);
  else tape.kernels.matmul(operand, weight.value, out, all);
  tape.exit();
  tape.flops += 2 * elementsOf(operand) * (options.columns?.count ?? weight.value.shape[1]);
}

/** dW and dX of a projection for dY; `operand` is what its forward product took for x. */
export function backwardProducts(
  tape: Tape,
  { x, operand, weight }: { x: Value; operand: Operand; weight: Weight },
  dOut: Gradient,
): void {
  tape.enter('product', 'dW');
  if (weight.adapter) adapterGradients(tape, operand, weight.adapter, dOut);
  else if (weight.gradient) weightGradient(tape, operand, { ...weight, gradient: weight.gradient }, dOut);
  tape.exit();
  tape.enter('product', 'dX');
  inputGradient(tape, x, weight, dOut);
  tape.exit();
}

/** dW [in, out] += x^T dY, by the zeros of the sparser side, or dense where neither has enough of them. */
function weightGradient(tape: Tape, operand: Operand, weight: TrainedWeight, dOut: Gradient): void {
  const [features, out] = weight.value.shape;
  const skips = tape.skips.weightGradient;
  const listed = isRows(operand) && skips ? operand : null;
  const cost = {
    dense: allElements(operand) * out,
    x: listed ? transposedCost(nonZeros(listed) * out) : Number.POSITIVE_INFINITY,
    dOut:
      dOut.rows && skips
        ? transposedCost(nonZeros(dOut.rows) * features) + ADD_TRANSPOSED_COST * features * out
        : Number.POSITIVE_INFINITY,
  };
  if (cost.dOut < Math.min(cost.x, cost.dense)) {
    weightGradientByOutput(tape, operand, weight, dOut.rows!);
    return;
  }
  const dY = tape.denseForm(dOut);
  const options = { accumulate: true, precision: tape.precision };
  if (listed && cost.x < cost.dense) {
    tape.kernels.sparseMatmul(transposed(tape, listed), dY, weight.gradient, options);
    tape.flops += 2 * nonZeros(listed) * out;
  } else {
    tape.kernels.matmul(denseOf(tape, operand), dY, weight.gradient, { transposeA: true, ...options });
    tape.flops += 2 * cost.dense;
  }
}

/** The same as (dY^T x)^T: few gates are open, so that dY^T has far fewer non-zeros than x. */
function weightGradientByOutput(tape: Tape, operand: Operand, weight: TrainedWeight, dOut: SparseRows): void {
  const [features, out] = weight.value.shape;
  const dWeight = tape.take([out, features]);
  tape.kernels.sparseMatmul(transposed(tape, dOut), denseOf(tape, operand), dWeight, { precision: tape.precision });
  tape.kernels.transpose(dWeight, weight.gradient, { accumulate: true });
  tape.flops += 2 * nonZeros(dOut) * features;
}

/** dB += scale (x A)^T dY and dA += scale x^T (dY B^T): all of them products with one side of the rank. */
function adapterGradients(tape: Tape, operand: Operand, { a, b, scale }: Adapter, dOut: Gradient): void {
  const { precision } = tape;
  const rank = a.value.shape[1];
  const nTokens = isRows(operand) ? operand.rows : operand.shape[0];
  const dY = tape.denseForm(dOut);
  const [narrow, dNarrow] = [tape.take([nTokens, rank]), tape.take([nTokens, rank])];
  if (isRows(operand)) tape.kernels.sparseMatmul(operand, a.value, narrow, { precision });
  else tape.kernels.matmul(operand, a.value, narrow, { precision });
  tape.kernels.matmul(dY, b.value, dNarrow, { transposeB: true, precision });
  for (const { data } of [narrow, dNarrow]) for (let i = 0; i < data.length; i++) data[i] *= scale;
  const options = { accumulate: true, precision };
  tape.kernels.matmul(narrow, dY, b.gradient, { ...options, transposeA: true });
  if (isRows(operand)) tape.kernels.sparseMatmul(transposed(tape, operand), dNarrow, a.gradient, options);
  else tape.kernels.matmul(operand, dNarrow, a.gradient, { ...options, transposeA: true });
  tape.flops += 2 * rank * (2 * elementsOf(operand) + 2 * dY.data.length);
}

/** dX [N, in] = dY W^T, added to what x has; at the non-zeros of x only where its producer needs no more. */
function inputGradient(tape: Tape, x: Value, weight: Weight, dOut: Gradient): void {
  if (x.gradientAtRows) {
    sampledInputGradient(tape, x, weight, dOut);
    return;
  }
  const { dense, accumulate } = tape.gradientTarget(x);
  const operand = tape.skips.inputGradient && skippingPays(dOut.rows) ? dOut.rows : tape.denseForm(dOut);
  const options = { transposeB: true, accumulate, precision: tape.precision };
  if (isRows(operand)) tape.kernels.sparseMatmul(operand, weight.value, dense, options);
  else tape.kernels.matmul(operand, weight.value, dense, options);
  tape.flops += 2 * elementsOf(operand) * weight.value.shape[0];
}

/** Dot products of the rows of dY with rows of W, or all of them and then a choice. */
function sampledInputGradient(tape: Tape, x: Value, weight: Weight, dOut: Gradient): void {
  const rows = x.rows!;
  const [features, out] = weight.value.shape;
  const dY = tape.denseForm(dOut);
  const value = tape.take([nonZeros(rows)]);
  if (tape.skips.hiddenGradient && samplingPays(rows, dY, tape.precision)) {
    tape.kernels.sampledMatmul(dY, weight.value, rows, value);
    tape.flops += 2 * nonZeros(rows) * out;
  } else {
    const dX = tape.take([rows.rows, features]);
    tape.kernels.matmul(dY, weight.value, dX, { transposeB: true, precision: tape.precision });
    tape.kernels.gatherAt(dX, 0, rows, value);
    tape.flops += 2 * dY.data.length * features;
  }
  tape.addGradient(x, { dense: null, rows: { ...rows, value } });
}

function isRows(operand: Operand): operand is SparseRows {
  return 'rows' in operand;
}

/** The dense form, with zeros where the list has none. */
export function denseOf(tape: Tape, operand: Operand): FloatTensor {
  return isRows(operand) ? tape.denseForm({ dense: null, rows: operand }) : operand;
}

export function transposed(tape: Tape, rows: SparseRows): SparseRows {
  const out = tape.takeRows(rows.cols, rows.rows, nonZeros(rows));
  tape.kernels.transposeRows(rows, out);
  return out;
}

function elementsOf(operand: Operand): number {
  return isRows(operand) ? nonZeros(operand) : operand.data.length;
}

function allElements(operand: Operand): number {
  return isRows(operand) ? operand.rows * operand.cols : operand.data.length;
}
