/**
 * The judgement of a result against the reference backend's.
 *
 * Bounds: an f32 sum of k products of size 1 has a rounding error of about eps * k / 2 in the mean (eps = 6e-8, sums of size
 * sqrt(k)), so relative to the result eps * sqrt(k) / 2: 5e-7 at k = 300. The two bounds leave a factor of 6 in
 * the root mean square and 20 in the maximum, and a polynomial exp of 2 ulp fits in. What a wrong program does is far
 * above: a lost product is 1 / sqrt(k) = 6e-2. Where a result may cancel to nothing, `magnitude` says how large it
 * would be without; errors are relative to that.
 */

import type { Case, Judgement, Outcome, TensorSpec } from './case.ts';

export const MAX_ERROR = 1e-5;
export const NMSE = 1e-11;

/** The faults of an outcome, empty where there is none: at most one line per tensor. */
export function faults(
  testCase: Case,
  contents: Record<string, TensorSpec>,
  expected: Outcome,
  got: Outcome,
): string[] {
  const found: string[] = [];
  for (const name of Object.keys(expected)) {
    const judgement = testCase.outputs[name];
    const fault = difference(judgement, contents[name].shape, expected[name], got[name]);
    if (fault) found.push(`${testCase.name}: ${judgement === undefined ? 'input ' : ''}${name}${fault}`);
  }
  return found;
}

function difference(
  judgement: Judgement | undefined,
  shape: readonly number[],
  expected: Outcome[string],
  got: Outcome[string],
) {
  if (judgement === undefined || judgement === 'equal') return differenceOfBits(expected, got);
  if (judgement === 'codes') return differenceOfCodes(expected, got);
  const rowLength = shape.length > 1 ? shape[shape.length - 1] : expected.length;
  return differenceOfFloats(expected, got, judgement.magnitude, rowLength);
}

/**
 * Codes of numbers that differ in their last bits: one that lay on the border between two becomes the neighbour. A border is met by one in
 * a hundred thousand; more than one in a hundred is another rounding.
 */
export function differenceOfCodes(expected: Outcome[string], got: Outcome[string]): string | null {
  let neighbours = 0;
  for (let i = 0; i < expected.length; i++) {
    if (expected[i] === got[i]) continue;
    if (Math.abs(expected[i] - got[i]) > 1) return `[${i}] is ${got[i]}, expected ${expected[i]} +- 1`;
    neighbours++;
  }
  return neighbours > Math.max(1, expected.length / 100)
    ? ` has ${neighbours} of ${expected.length} codes off by 1`
    : null;
}

/** The first element that differs, NaN equal to NaN, -0 not equal to 0; null where all are equal. */
export function differenceOfBits(expected: Outcome[string], got: Outcome[string]): string | null {
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(expected[i], got[i])) return `[${i}] is ${text(got[i])}, expected ${text(expected[i])}`;
  }
  return null;
}

/**
 * The worst element outside of the bounds, or the whole where its mean square error is; null where all is well. An element is held against the
 * largest of its row of `rowLength`, so that a row of large numbers does not hide what is wrong in the others.
 */
export function differenceOfFloats(
  expected: Outcome[string],
  got: Outcome[string],
  magnitude: number,
  rowLength = expected.length,
): string | null {
  for (let begin = 0; begin < expected.length; begin += rowLength) {
    const fault = worstOfRow(expected, got, magnitude, begin, Math.min(begin + rowLength, expected.length));
    if (fault !== null) return fault;
  }
  const nmse = meanSquareError(expected, got, magnitude);
  return nmse > NMSE ? ` has a mean square error of ${nmse.toExponential(2)}, at most ${NMSE} allowed` : null;
}

function worstOfRow(expected: Outcome[string], got: Outcome[string], magnitude: number, begin: number, end: number) {
  let size = magnitude;
  for (let i = begin; i < end; i++) if (Number.isFinite(expected[i])) size = Math.max(size, Math.abs(expected[i]));
  let worst = -1;
  let worstError = MAX_ERROR * size;
  for (let i = begin; i < end; i++) {
    if (!Number.isFinite(expected[i])) {
      if (!Object.is(expected[i], got[i])) return `[${i}] is ${got[i]}, expected ${expected[i]}`;
      continue;
    }
    const error = Math.abs(expected[i] - got[i]);
    if (!Number.isFinite(error)) return `[${i}] is ${got[i]}, expected ${expected[i]}`;
    if (error > worstError) [worst, worstError] = [i, error];
  }
  if (worst < 0) return null;
  return `[${worst}] is ${got[worst]}, expected ${expected[worst]} +- ${(MAX_ERROR * size).toExponential(1)}`;
}

/** Of the finite elements, relative to their squares or to those of `magnitude`. */
function meanSquareError(expected: Outcome[string], got: Outcome[string], magnitude: number): number {
  let [errors, squares, finite] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(expected[i])) continue;
    errors += (expected[i] - got[i]) ** 2;
    squares += expected[i] ** 2;
    finite++;
  }
  return finite === 0 ? 0 : errors / Math.max(squares, finite * magnitude * magnitude);
}

function text(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}
