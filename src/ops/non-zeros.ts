/**
 * Natural zeros: lists the non-zeros of activations behind a ReLU gate. out = x; only the form changes, so dX = dOut.
 *
 * The zeros are exact (a closed gate gives +0), hence skipping them changes no sum. This file also owns the questions
 * whether a list, and whether computing listed elements only, pays.
 */

import type { Op } from '../autograd/op.ts';
import type { Tape } from '../autograd/tape.ts';
import { type Gradient, Value } from '../autograd/value.ts';
import type { Precision } from '../backend.ts';
import { density, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

/**
 * Multiply-adds a second relative to the dense product, as measured in f32 (docs/log.md): of a product with a sparse input, of a gradient of weights
 * through the transposed list, the transposition included, and of sampled elements.
 */
const SPARSE_RATE = 0.57;
const TRANSPOSED_RATE = 0.48;
const SAMPLED_RATE = 0.42;

/** Is the product of these rows cheaper with its zeros skipped? */
export function skippingPays(rows: SparseRows | null): rows is SparseRows {
  return rows !== null && listingPays(density(rows));
}

/** The same of a matrix with this share of non-zeros, which is not listed yet. */
export function listingPays(density: number): boolean {
  return density < SPARSE_RATE;
}

/** What a gradient of weights from a list of so many multiply-adds takes, in multiply-adds of the dense product. */
export function transposedCost(multiplyAdds: number): number {
  return multiplyAdds / TRANSPOSED_RATE;
}

/** By the instruction, not measured: bf16 products multiply two pairs in the place of one; sampled elements are computed in f32 whatever the precision. */
const BF16_RATE = 2;

/** Are the elements of a product at these positions cheaper one by one than all of them, from the operand `x`? */
export function samplingPays(at: SparseRows, x: SparseRows | FloatTensor, precision: Precision): boolean {
  const whole = ('rows' in x ? density(x) / SPARSE_RATE : 1) / (precision === 'bf16' ? BF16_RATE : 1);
  return density(at) / SAMPLED_RATE < whole;
}

/** Counts the non-zeros of x [N, features] and lists them if that pays; one pass over x, or two. */
export function gatherIfSparse(tape: Tape, x: FloatTensor): { rows: SparseRows | null; nonZeros: number } {
  const [nTokens, features] = x.shape;
  const start = tape.takeInts(nTokens + 1);
  tape.kernels.countNonZeros(x, start);
  const nonZeros = start.data[nTokens];
  if (!listingPays(nonZeros / (nTokens * features))) return { rows: null, nonZeros };
  const rows = tape.takeRows(nTokens, features, nonZeros, start);
  tape.kernels.gatherNonZeros(x, rows);
  return { rows, nonZeros };
}

/** A gradient at the elements of `rows`; a list has exactly their positions, since it is asked for at the non-zeros of their values. */
export function gradientAt(tape: Tape, rows: SparseRows, dOut: Gradient): FloatTensor {
  if (dOut.rows !== null) return dOut.rows.value;
  const values = tape.take([rows.start.data[rows.rows]]);
  tape.kernels.gatherAt(tape.denseForm(dOut), 0, rows, values);
  return values;
}

export const nonZeros: Op<{ x: Value }, { x: Value }> = {
  name: 'nonZeros',

  forward(tape, { x }) {
    const listed = gatherIfSparse(tape, x.dense!);
    const output = new Value(x.shape, { dense: x.dense, ...listed });
    return { output, saved: { x }, keep: [] };
  },

  backward(tape, { x }, dOut) {
    tape.addGradient(x, dOut);
  },
};
