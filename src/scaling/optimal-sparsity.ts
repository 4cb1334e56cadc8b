/**
 * What a law says about spending: the sparsity, and the size, with the lowest loss for a budget.
 *
 * For a budget of activated parameters N (1 - S) the law becomes L = E + A(S) ((1 - S) / N_a)^alpha (Q-Sparse, eq. 24), whose best S depends on
 * neither N_a nor E. For any other cost, bytes or milliseconds, `cheapest` takes at each S the largest N that the budget pays for.
 */

import { type LawConstants, type LawForm, lawLoss } from './law-form.ts';

/** Beyond it a law is asked about models that nobody trains. */
export const LARGEST_SPARSITY = 0.95;

const GRID = 96;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const REFINEMENTS = 70;
/** In any unit of N. */
const SMALLEST_SIZE = 1e-12;
const LARGEST_SIZE = 1e18;
const END_DISTANCE = 1e-9;

/** S of the lowest loss for a number of activated parameters, in [0, LARGEST_SPARSITY]; 0 where zeros never pay. */
export function optimalSparsity(form: LawForm, constants: LawConstants): number {
  return minimumOver(LARGEST_SPARSITY, (sparsity) => logActivatedLoss(form, constants, sparsity));
}

/**
 * The reducible loss L - E at S over that of a dense model with as many activated parameters: below 1 where zeros pay. Of laws whose alpha does not
 * depend on S, so that N_a cancels.
 */
export function lossOverDense(form: LawForm, constants: LawConstants, sparsity: number): number {
  return Math.exp(logActivatedLoss(form, constants, sparsity) - logActivatedLoss(form, constants, 0));
}

/** How many times fewer activated parameters than a dense model of equal loss: lossOverDense to the power of -1 / alpha. */
export function parametersSaved(form: LawForm, constants: LawConstants, sparsity: number): number {
  return lossOverDense(form, constants, sparsity) ** (-1 / constants.alpha);
}

/** log(A(S) (1 - S)^alpha). */
function logActivatedLoss(form: LawForm, constants: LawConstants, sparsity: number): number {
  return Math.log(sizeTerms(form, constants, sparsity)) + constants.alpha * Math.log1p(-sparsity);
}

/** A(S): what 1 / N^alpha is multiplied by. */
export function sizeTerms({ name, formula, terms }: LawForm, constants: LawConstants, sparsity: number): number {
  const sized = terms.filter(({ factors }) => factors.some(({ exponent }) => exponent === 'alpha'));
  return lawLoss({ name, formula, terms: sized }, constants, { size: 1, sparsity });
}

/** What a model costs, growing with its size: activated parameters, bytes or milliseconds of a token. */
export type Cost = (size: number, sparsity: number) => number;

export interface Choice {
  readonly size: number;
  readonly sparsity: number;
  readonly loss: number;
}

export interface CheapestOptions {
  /** The largest S that may be chosen. */
  readonly largestSparsity?: number;
  /** Training tokens, for laws with a term for them. */
  readonly tokens?: number | undefined;
}

/**
 * Size and sparsity of the lowest loss among the models whose cost is at most `budget`; null where even the smallest costs more.
 */
export function cheapest(
  form: LawForm,
  constants: LawConstants,
  cost: Cost,
  budget: number,
  options: CheapestOptions = {},
): Choice | null {
  const { largestSparsity = LARGEST_SPARSITY, tokens } = options;
  const lossAt = (sparsity: number) => {
    const size = largestSize((candidate) => cost(candidate, sparsity), budget);
    return size === null ? Number.POSITIVE_INFINITY : lawLoss(form, constants, { size, sparsity, tokens });
  };
  const sparsity = minimumOver(largestSparsity, lossAt);
  const size = largestSize((candidate) => cost(candidate, sparsity), budget);
  return size === null ? null : { size, sparsity, loss: lawLoss(form, constants, { size, sparsity, tokens }) };
}

/** The largest size within the budget, by bisection of its logarithm. */
export function largestSize(costOf: (size: number) => number, budget: number): number | null {
  let [low, high] = [Math.log(SMALLEST_SIZE), Math.log(LARGEST_SIZE)];
  if (!(costOf(SMALLEST_SIZE) <= budget)) return null;
  for (let i = 0; i < REFINEMENTS; i++) {
    const middle = (low + high) / 2;
    if (costOf(Math.exp(middle)) <= budget) low = middle;
    else high = middle;
  }
  return Math.exp(low);
}

/** Where `valueAt` is lowest in [0, most]: the best of a grid, then the golden section around it, for costs with corners too. */
function minimumOver(most: number, valueAt: (sparsity: number) => number): number {
  const places = Array.from({ length: GRID + 1 }, (_, i) => (most * i) / GRID);
  const values = places.map(valueAt);
  const best = values.reduce((lowest, value, i) => (value < values[lowest] ? i : lowest), 0);
  let low = places[Math.max(0, best - 1)];
  let high = places[Math.min(GRID, best + 1)];
  for (let i = 0; i < REFINEMENTS; i++) {
    const [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
    if (valueAt(left) <= valueAt(right)) high = right;
    else low = left;
  }
  const middle = (low + high) / 2;
  // The golden section ends beside an end of the range, never on it.
  return [0, most].find((end) => Math.abs(middle - end) < END_DISTANCE) ?? middle;
}
