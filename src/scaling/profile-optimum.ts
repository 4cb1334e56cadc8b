/**
 * profileOptimum: which sparsities the runs allow as the inference-optimal one, by profile likelihood.
 *
 * At each S* the other constants are fitted anew under the condition that S* is the optimum; how much worse the fit becomes is the evidence
 * against it. With u = 1 / (1 - S*) the condition is alpha = beta u C exp(beta u) / (B + C exp(beta u)), so alpha is computed instead of fitted.
 * A profile shows what an interval of the bootstrap hides: how flat the bottom is, and whether an end is open.
 */

import type { LawFit } from './fit-law.ts';
import { chiSquaredLimit, LawDeviance } from './law-deviance.ts';
import type { LawConstants } from './law-form.ts';
import { HUBER_DELTA, type HuberOptions, LawObjective } from './law-objective.ts';
import { lbfgs, type Minimum, type Objective } from './lbfgs.ts';

export interface OptimumProfile {
  readonly confidence: number;
  /** null: nothing down to -4, or up to 0.98, is refuted. Below 0, where only a formula can go, zeros do not pay. */
  readonly low: number | null;
  readonly high: number | null;
  /** Deviance at a grid of sparsities, on the scale of chi squared with one degree of freedom. */
  readonly curve: readonly { readonly sparsity: number; readonly deviance: number }[];
}

const LEAST_U = 0.2;
const MOST_U = 50;
const CURVE_SPARSITIES = Array.from({ length: 39 }, (_, i) => i * 0.025);
const BISECTIONS = 30;
/** Of u, while looking for an end. */
const STRIDE = 1.15;

/** Of a fit of the forms `exponential` and `exponential-without-b`. */
export function profileOptimum(
  fit: LawFit,
  { confidence = 0.95, delta = HUBER_DELTA }: ProfileOptions = {},
): OptimumProfile {
  const objective = new LawObjective(fit.form, fit.points, { delta });
  const deviance = new LawDeviance(fit, delta);
  const start = withoutAlpha(objective, objective.variablesOf(fit.constants));
  const at = (u: number, from: Float64Array): Minimum => lbfgs(constrained(objective, u), from);
  const devianceAt = (u: number, from: Float64Array) => {
    const minimum = at(u, from);
    return { value: deviance.of(minimum.value * delta ** 2), x: minimum.x };
  };
  const best = stationaryU(fit.constants);
  const limit = chiSquaredLimit(confidence);
  const end = (towards: number) => crossing(best, towards, start, limit, devianceAt);
  const curve = CURVE_SPARSITIES.map((sparsity) => ({
    sparsity,
    deviance: devianceAt(1 / (1 - sparsity), start).value,
  }));
  return { confidence, low: sparsityOf(end(LEAST_U)), high: sparsityOf(end(MOST_U)), curve };
}

export interface ProfileOptions extends HuberOptions {
  readonly confidence?: number | undefined;
}

/** Walks from the optimum in strides, each fit beginning at the one before, then halves the last stride. null at the end of the range. */
function crossing(
  best: number,
  towards: number,
  start: Float64Array,
  limit: number,
  devianceAt: (u: number, from: Float64Array) => { value: number; x: Float64Array },
): number | null {
  const factor = towards < best ? 1 / STRIDE : STRIDE;
  const isPast = (u: number) => (factor < 1 ? u <= towards : u >= towards);
  let [inside, from] = [best, start];
  for (let u = best * factor; !isPast(u); u *= factor) {
    const { value, x } = devianceAt(u, from);
    if (value > limit) return halved(inside, u, from, limit, devianceAt);
    [inside, from] = [u, x];
  }
  return null;
}

function halved(
  inside: number,
  outside: number,
  from: Float64Array,
  limit: number,
  devianceAt: (u: number, from: Float64Array) => { value: number },
): number {
  let [near, far] = [inside, outside];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (near + far) / 2;
    if (devianceAt(middle, from).value > limit) far = middle;
    else near = middle;
  }
  return near;
}

/** Where N_a being fixed the loss is stationary: beta u C exp(beta u) = alpha (B + C exp(beta u)); below 1 where zeros do not pay. */
function stationaryU({ B = 0, C, alpha, beta }: LawConstants): number {
  let [low, high] = [LEAST_U, MOST_U];
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    const above = C * Math.exp(beta * middle);
    if (beta * middle * above < alpha * (B + above)) low = middle;
    else high = middle;
  }
  return low;
}

function sparsityOf(u: number | null): number | null {
  return u === null ? null : 1 - 1 / u;
}

function withoutAlpha({ names }: LawObjective, variables: Float64Array): Float64Array {
  return variables.filter((_, v) => names[v] !== 'alpha');
}

/** The objective over all variables but alpha, which follows from them and `u`. */
export function constrained(objective: LawObjective, u: number): Objective {
  const { names } = objective;
  const [alphaAt, betaAt, bAt, cAt] = ['alpha', 'beta', 'B', 'C'].map((name) => names.indexOf(name));
  const variables = new Float64Array(names.length);
  const full = new Float64Array(names.length);
  const distance = u - objective.centreOf('beta');
  return (free, gradient) => {
    variables.set(free.subarray(0, alphaAt));
    variables.set(free.subarray(alphaAt), alphaAt + 1);
    const beta = variables[betaAt];
    // The share of C's term in A(S*); B and C are shifted alike but for beta's centre.
    const share = bAt < 0 ? 1 : 1 / (1 + Math.exp(variables[bAt] - variables[cAt] - beta * distance));
    variables[alphaAt] = beta * u * share;
    const value = objective.evaluate(variables, full);
    const byLogRatio = full[alphaAt] * beta * u * share * (1 - share);
    full[betaAt] += full[alphaAt] * u * share + byLogRatio * distance;
    if (bAt >= 0) {
      full[cAt] += byLogRatio;
      full[bAt] -= byLogRatio;
    }
    gradient.set(full.filter((_, v) => v !== alphaAt));
    return value;
  };
}
