/**
 * Natural zeros: lists the non-zeros of activations behind a ReLU gate. out = x; only the form changes, so dX = dOut.
 *
 * The zeros are exact (a closed gate gives +0), hence skipping them changes no sum. This file also owns the question
 * whether a list pays.
 */

import type { Op } from '../autograd/op.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import { density, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

/**
 * Lists with a larger share of non-zeros are multiplied dense: the sparse f32 product does 0.6 (AVX2) to 0.7 (AVX-512) times as
 * many multiply-adds a second as the dense one (measured), so that below some 35 % zeros it loses.
 */
const DENSITY_CROSSOVER = 0.65;

/** Is the product of these rows cheaper with its zeros skipped? */
export function skippingPays(rows: SparseRows | null): rows is SparseRows {
  return rows !== null && density(rows) < DENSITY_CROSSOVER;
}

/** Counts the non-zeros of x [N, features] and lists them if that pays; one pass over x, or two. */
export function gatherIfSparse(tape: Tape, x: FloatTensor): { rows: SparseRows | null; nonZeros: number } {
  const [nTokens, features] = x.shape;
  const start = tape.takeInts(nTokens + 1);
  tape.kernels.countNonZeros(x, start);
  const nonZeros = start.data[nTokens];
  if (nonZeros >= DENSITY_CROSSOVER * nTokens * features) return { rows: null, nonZeros };
  const rows = tape.takeRows(nTokens, features, nonZeros, start);
  tape.kernels.gatherNonZeros(x, rows);
  return { rows, nonZeros };
}

export const nonZeros: Op<{ x: Value }, { x: Value }> = {
  name: 'nonZeros',

  forward(tape, { x }) {
    const output = new Value(x.shape, { dense: x.dense, ...gatherIfSparse(tape, x.dense!) });
    return { output, saved: { x }, keep: [] };
  },

  backward(tape, { x }, dOut) {
    tape.addGradient(x, dOut);
  },
};
