/**
 * LawDeviance: what a rise of the Huber objective is worth as evidence, on the scale of chi squared.
 *
 * The Huber objective is no likelihood: its delta is chosen, not the noise of the runs. For an M-estimator the rise times 2 E[psi'] / E[psi^2]
 * is asymptotically chi squared with one degree of freedom for each constraint (Hampel et al., Robust Statistics, chapter 7.2). Both
 * expectations are taken for normal errors with the deviation of the residuals, which differences between seeds are near enough to;
 * studies/scaling/recovery.mjs measures how often the intervals of it hold the truth.
 */

import type { LawFit } from './fit-law.ts';
import { constantNames } from './law-form.ts';

export class LawDeviance {
  readonly #perUnit: number;
  readonly #lowest: number;

  /** Of rises over the objective of `fit`. */
  constructor(fit: LawFit, delta: number) {
    const { scales, exponents } = constantNames(fit.form);
    const { length } = fit.residuals;
    const freedom = Math.max(1, length - scales.length - exponents.length);
    const squares = fit.residuals.reduce((sum, residual) => sum + residual * residual, 0);
    // Residuals of rounding alone would make any rise infinitely unlikely.
    const deviation = Math.max(Math.sqrt(squares / freedom), 1e-9);
    this.#perUnit = 2 * evidencePerUnit(deviation, delta);
    this.#lowest = fit.objective;
  }

  of(objective: number): number {
    return this.#perUnit * Math.max(0, objective - this.#lowest);
  }
}

/** E[psi'] / E[psi^2] for normal errors of this deviation; 1 / deviation^2 where delta is far above it. */
function evidencePerUnit(deviation: number, delta: number): number {
  const ratio = delta / deviation;
  const inside = normalShare(ratio);
  const squares = normalIntegral(ratio, (x) => x * x);
  return inside / (deviation ** 2 * squares + delta ** 2 * (1 - inside));
}

/** Share of a normal distribution within `distance` deviations of its mean. */
export function normalShare(distance: number): number {
  return normalIntegral(distance, () => 1);
}

const INTERVALS = 200;
/** In deviations; what lies beyond is below the precision of f64. */
const FARTHEST = 9;

/** The integral of `f` times the normal density from -distance to distance, by Simpson's rule; `f` is even. */
function normalIntegral(distance: number, f: (x: number) => number): number {
  const width = Math.min(distance, FARTHEST) / INTERVALS;
  let sum = 0;
  for (let i = 0; i <= INTERVALS; i++) {
    const x = i * width;
    const weight = i === 0 || i === INTERVALS ? 1 : 2 + 2 * (i % 2);
    sum += weight * f(x) * Math.exp(-(x * x) / 2);
  }
  return (sum * width * Math.sqrt(2 / Math.PI)) / 3;
}

/** What chi squared of one degree of freedom stays below with this probability: 3.84 for 0.95. */
export function chiSquaredLimit(confidence: number): number {
  let [low, high] = [0, 10];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < confidence) low = middle;
    else high = middle;
  }
  return low * low;
}
