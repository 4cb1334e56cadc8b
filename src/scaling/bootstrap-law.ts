/**
 * bootstrapLaw: how far the constants of a law, and the optimum that follows from them, would move with other runs.
 *
 * Runs are drawn with replacement and the law is fitted anew, from near the fit of all runs. Percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13). Drawing single runs
 * takes their errors for independent; runs of one size that share a seed are so in part, which makes the intervals a little narrow.
 */

import { Prng } from '../util/prng.ts';
import { fitLaw, type LawFit, startsNear } from './fit-law.ts';
import { constantNames, type LawConstants, type LawForm, type LawPoint } from './law-form.ts';
import type { HuberOptions } from './law-objective.ts';
import { optimalSparsity, sizeTerms } from './optimal-sparsity.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Bootstrap {
  readonly confidence: number;
  readonly draws: number;
  readonly constants: Readonly<Record<string, Interval>>;
  /** S*. */
  readonly optimum: Interval;
  /** Share of the draws in which zeros pay at all. */
  readonly aboveZero: number;
  /** B / A(0), of forms that have B. */
  readonly shareOfB: Interval | null;
}

export interface BootstrapOptions extends HuberOptions {
  readonly draws?: number | undefined;
  readonly seed?: number | undefined;
  readonly confidence?: number | undefined;
}

const ABOVE_ZERO = 0.005;
const TRIES = 1000;

export function bootstrapLaw(fit: LawFit, options: BootstrapOptions = {}): Bootstrap {
  const { draws = 1000, seed = 0, confidence = 0.95, delta } = options;
  const prng = new Prng(seed);
  const starts = startsNear(fit);
  const drawn = Array.from({ length: draws }, () => {
    const points = resampled(fit.points, prng);
    return fitLaw(fit.form, points, { delta, starts }).constants;
  });
  const optima = drawn.map((constants) => optimalSparsity(fit.form, constants));
  const { scales, exponents } = constantNames(fit.form);
  return {
    confidence,
    draws,
    constants: Object.fromEntries(
      [...scales, ...exponents].map((name) => [
        name,
        intervalOf(
          drawn.map((one) => one[name]),
          confidence,
        ),
      ]),
    ),
    optimum: intervalOf(optima, confidence),
    aboveZero: optima.filter((sparsity) => sparsity > ABOVE_ZERO).length / draws,
    shareOfB: scales.includes('B')
      ? intervalOf(
          drawn.map((one) => shareOfB(fit.form, one)),
          confidence,
        )
      : null,
  };
}

/** How much of A(0) is B: near 0 or of any value alike, B says nothing. */
export function shareOfB(form: LawForm, constants: LawConstants): number {
  return constants.B / sizeTerms(form, constants, 0);
}

/** As many runs, drawn with replacement; again where they no longer differ in what the law depends on. */
function resampled(points: readonly LawPoint[], prng: Prng): LawPoint[] {
  for (let i = 0; i < TRIES; i++) {
    const drawn = points.map(() => points[prng.below(points.length)]);
    if (FIELDS.every((field) => countOf(drawn, field) >= Math.min(2, countOf(points, field)))) return drawn;
  }
  return [...points];
}

const FIELDS = ['size', 'sparsity', 'tokens'] as const;

function countOf(points: readonly LawPoint[], field: (typeof FIELDS)[number]): number {
  return new Set(points.map((point) => point[field])).size;
}

/** The middle `confidence` of the values, linear between neighbours. */
function intervalOf(values: readonly number[], confidence: number): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const below = sorted[Math.floor(place)];
    return below + (place - Math.floor(place)) * (sorted[Math.ceil(place)] - below);
  };
  const tail = (1 - confidence) / 2;
  return { low: at(tail), high: at(1 - tail) };
}
