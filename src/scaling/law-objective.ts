/**
 * LawObjective: how far a law is from measured losses, as a smooth function of what the fit moves, with its gradient.
 *
 *     sum over runs of Huber(log L_predicted - log L_measured)        Q-Sparse (arXiv 2407.10969), eq. 20; delta 1e-3
 *
 * What moves is not the constants themselves. Scales are positive, so their logarithms move; and each feature is measured from its mean over
 * the runs, so that a change of an exponent turns the curve about the middle of the data instead of lifting it: alpha and C, all but one
 * direction otherwise, become nearly independent, and the fit is the same in any unit of N (but for drifting-alpha, whose law is another in each). `constantsAt` and `variablesOf` translate.
 *
 * Where all sparsities but the largest cost nothing, ever steeper curves fit ever better, and beta goes to infinity. So an exponent may make
 * a term at most STEEPEST times as large from one end of the data to the other; what is beyond costs, smoothly.
 */

import { constantNames, type LawConstants, type LawForm, type LawPoint } from './law-form.ts';

export const HUBER_DELTA = 1e-3;

/** Nothing beside any loss; a scale of 0 would have an infinite logarithm, from which no step leads away. */
const SMALLEST_SCALE = 1e-60;

/** Its logarithm: a million, far more than runs can tell from a step. */
const STEEPEST_LOG = Math.log(1e6);

export interface HuberOptions {
  readonly delta?: number | undefined;
}

export class LawObjective {
  readonly form: LawForm;
  /** Names in the order of the variables: logarithms of the scales, then the exponents. */
  readonly names: readonly string[];
  readonly points: readonly LawPoint[];
  readonly delta: number;
  readonly #scaleCount: number;
  /** By exponent: the mean of its feature over the runs. */
  readonly #centres: Readonly<Record<string, number>>;
  /** By variable: how far its feature reaches over the runs; 0 for scales. */
  readonly #spans: Float64Array;
  /** By term: the variables of its exponents. */
  readonly #variables: readonly (readonly number[])[];
  /** By run and term: the logarithm of the amount, then the centred feature of each of its exponents. */
  readonly #rows: readonly (readonly Float64Array[])[];
  readonly #logLosses: Float64Array;
  /** By term, of the run at hand: this is called some million times in a bootstrap. */
  readonly #logs: Float64Array;

  constructor(form: LawForm, points: readonly LawPoint[], { delta = HUBER_DELTA }: HuberOptions = {}) {
    const { scales, exponents } = constantNames(form);
    this.form = form;
    this.points = points;
    this.delta = delta;
    this.names = [...scales, ...exponents];
    this.#scaleCount = scales.length;
    this.#centres = centresOf(form, points);
    this.#spans = Float64Array.from(this.names, (name) => (exponents.includes(name) ? spanOf(form, name, points) : 0));
    this.#variables = form.terms.map(({ factors }) => factors.map(({ exponent }) => this.names.indexOf(exponent)));
    this.#rows = points.map((point) => form.terms.map((term) => this.#row(term, point)));
    this.#logLosses = Float64Array.from(points, ({ loss }) => Math.log(loss));
    this.#logs = new Float64Array(scales.length);
  }

  #row({ factors, amount }: LawForm['terms'][number], point: LawPoint): Float64Array {
    const features = factors.map(({ exponent, feature }) => feature(point) - this.#centres[exponent]);
    return Float64Array.of(Math.log(amount?.(point) ?? 1), ...features);
  }

  /** The sum of Huber losses over delta^2 at `variables`, and what too steep exponents cost; overwrites `gradient`. */
  readonly evaluate = (variables: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    const own = new Float64Array(variables.length);
    let sum = 0;
    for (let i = 0; i < this.#rows.length; i++) {
      const residual = this.#predict(i, variables, own) - this.#logLosses[i];
      // In units of delta, so that tolerances of the minimiser mean the same for any delta.
      const scaled = residual / this.delta;
      sum += huber(scaled);
      const slope = Math.max(-1, Math.min(1, scaled)) / this.delta;
      for (let v = 0; v < own.length; v++) gradient[v] += slope * own[v];
    }
    for (let v = this.#scaleCount; v < variables.length; v++) {
      const excess = Math.abs(variables[v]) * this.#spans[v] - STEEPEST_LOG;
      if (excess <= 0) continue;
      sum += excess * excess;
      gradient[v] += 2 * excess * this.#spans[v] * Math.sign(variables[v]);
    }
    return sum;
  };

  /** log L_predicted - log L_measured of each run. */
  residuals(variables: Float64Array): number[] {
    const gradient = new Float64Array(variables.length);
    return this.points.map((_, i) => this.#predict(i, variables, gradient) - this.#logLosses[i]);
  }

  /** The logarithm of the predicted loss of run i; its gradient goes into `gradient`. */
  #predict(i: number, variables: Float64Array, gradient: Float64Array): number {
    const rows = this.#rows[i];
    const logs = this.#logs;
    let most = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < rows.length; t++) {
      const own = this.#variables[t];
      let log = variables[t] + rows[t][0];
      for (let f = 0; f < own.length; f++) log += variables[own[f]] * rows[t][f + 1];
      logs[t] = log;
      if (log > most) most = log;
    }
    let total = 0;
    for (let t = 0; t < rows.length; t++) {
      logs[t] = Math.exp(logs[t] - most);
      total += logs[t];
    }
    gradient.fill(0);
    for (let t = 0; t < rows.length; t++) {
      const share = logs[t] / total;
      gradient[t] = share;
      const own = this.#variables[t];
      for (let f = 0; f < own.length; f++) gradient[own[f]] += share * rows[t][f + 1];
    }
    return most + Math.log(total);
  }

  constantsAt(variables: Float64Array): LawConstants {
    const values = this.names.map((name, v) => [name, variables[v]] as const);
    const exponents = Object.fromEntries(values.slice(this.#scaleCount));
    const scales = values
      .slice(0, this.#scaleCount)
      .map(([name, log], t) => [name, Math.exp(log - this.#shift(t, exponents))] as const);
    return { ...Object.fromEntries(scales), ...exponents };
  }

  variablesOf(constants: LawConstants): Float64Array {
    return Float64Array.from(this.names, (name, v) =>
      v < this.#scaleCount
        ? Math.log(Math.max(constants[name], SMALLEST_SCALE)) + this.#shift(v, constants)
        : constants[name],
    );
  }

  /** What a term's logarithm gains where its features are measured from their means. */
  #shift(t: number, exponents: LawConstants): number {
    const { factors } = this.form.terms[t];
    return factors.reduce((sum, { exponent }) => sum + exponents[exponent] * this.#centres[exponent], 0);
  }

  /** The mean feature of an exponent: what profiles of other quantities need to translate. */
  centreOf(exponent: string): number {
    return this.#centres[exponent];
  }
}

/** In units of delta: the square near 0, the distance beyond. */
function huber(scaled: number): number {
  const size = Math.abs(scaled);
  return size <= 1 ? 0.5 * size * size : size - 0.5;
}

function spanOf(form: LawForm, exponent: string, points: readonly LawPoint[]): number {
  const factors = form.terms.flatMap((term) => term.factors.filter((factor) => factor.exponent === exponent));
  const values = factors.flatMap(({ feature }) => points.map(feature));
  return Math.max(...values) - Math.min(...values);
}

function centresOf(form: LawForm, points: readonly LawPoint[]): Record<string, number> {
  const factors = form.terms.flatMap((term) => term.factors);
  return Object.fromEntries(
    factors.map(({ exponent, feature }) => [
      exponent,
      points.reduce((sum, point) => sum + feature(point), 0) / points.length,
    ]),
  );
}
