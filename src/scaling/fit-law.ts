/**
 * fitLaw: the constants of a law from finished runs, by L-BFGS from a grid of starts (Q-Sparse, section 3.4).
 *
 * Every start is followed a little way, the best few to the end. The grid spans what a loss can be made of: from mostly floor to hardly any,
 * weak and strong dependence on size and on sparsity. The paper does not print its grid.
 */

import { UsageError } from '../util/errors.ts';
import { constantNames, type LawConstants, type LawForm, type LawPoint, lawLoss } from './law-form.ts';
import { type HuberOptions, LawObjective } from './law-objective.ts';
import { lbfgs, type Minimum } from './lbfgs.ts';
import { sizeTerms } from './optimal-sparsity.ts';

export interface LawFit {
  readonly form: LawForm;
  readonly constants: LawConstants;
  /** The sum of Huber losses, as in the paper's eq. 20. */
  readonly objective: number;
  /** Root of the mean square of log L_predicted - log L_measured. */
  readonly rmsLogError: number;
  /** The same for each run, in the order of the runs. */
  readonly residuals: readonly number[];
  readonly points: readonly LawPoint[];
}

export interface FitOptions extends HuberOptions {
  /** Fits that begin here instead of at the grid: for data that differ little from those of an earlier fit. */
  readonly starts?: readonly LawConstants[] | undefined;
}

const FLOOR_SHARES = [0.1, 0.5, 0.85];
/** Of what is above the floor: the share of the first of the other terms. */
const FIRST_SHARES = [0.02, 0.5, 0.9];
const EXPONENTS: Readonly<Record<string, readonly number[]>> = {
  alpha: [0.05, 0.2, 0.6],
  beta: [0.02, 0.15, 0.8],
  gamma: [0.1, 0.4],
  drift: [0],
};
/** Of the loss: a smaller floor is none. */
const VANISHED_SHARE = 1e-4;
const FIRST_ITERATIONS = 25;
const FOLLOWED = 4;

/** Throws UsageError where the runs are fewer than the constants, or do not differ in what a constant depends on. */
export function fitLaw(form: LawForm, points: readonly LawPoint[], options: FitOptions = {}): LawFit {
  checkPoints(form, points);
  const objective = new LawObjective(form, points, options);
  const { starts } = options;
  const best = starts
    ? lowest(starts.map((constants) => lbfgs(objective.evaluate, objective.variablesOf(constants))))
    : fromGrid(objective);
  return fitAt(objective, best);
}

function fromGrid(objective: LawObjective): Minimum {
  const first = startsOf(objective).map((start) =>
    lbfgs(objective.evaluate, start, { maxIterations: FIRST_ITERATIONS }),
  );
  const followed = first.sort((a, b) => a.value - b.value).slice(0, FOLLOWED);
  return lowest(followed.map(({ x }) => lbfgs(objective.evaluate, x)));
}

function lowest(minima: readonly Minimum[]): Minimum {
  return minima.reduce((best, other) => (other.value < best.value ? other : best));
}

function fitAt(objective: LawObjective, { x, value }: Minimum): LawFit {
  const residuals = objective.residuals(x);
  const squares = residuals.reduce((sum, residual) => sum + residual * residual, 0);
  return {
    form: objective.form,
    constants: objective.constantsAt(x),
    objective: value * objective.delta ** 2,
    rmsLogError: Math.sqrt(squares / residuals.length),
    residuals,
    points: objective.points,
  };
}

/** In the variables of the objective: there the scales are the terms' losses in the middle of the data. */
function startsOf({ form, names, points }: LawObjective): Float64Array[] {
  const { scales, exponents } = constantNames(form);
  const middle = Math.exp(points.reduce((sum, { loss }) => sum + Math.log(loss), 0) / points.length);
  const firstShares = scales.length > 2 ? FIRST_SHARES : [1];
  const combinations = FLOOR_SHARES.flatMap((floor) =>
    firstShares.flatMap((first) =>
      product(exponents.map((name) => EXPONENTS[name])).map((values) => ({ floor, first, values })),
    ),
  );
  return combinations.map(({ floor, first, values }) => {
    const rest = (1 - first) / Math.max(1, scales.length - 2);
    const shares = [floor, ...scales.slice(1).map((_, t) => (1 - floor) * (t === 0 ? first : rest))];
    return Float64Array.from([...shares.map((share) => Math.log(middle * share)), ...values].slice(0, names.length));
  });
}

function product(lists: readonly (readonly number[])[]): number[][] {
  return lists.reduce<number[][]>((rows, list) => rows.flatMap((row) => list.map((value) => [...row, value])), [[]]);
}

/** Whether fitLaw takes them. */
export function canFit(form: LawForm, points: readonly LawPoint[]): boolean {
  return problemOf(form, points) === null;
}

function checkPoints(form: LawForm, points: readonly LawPoint[]): void {
  const problem = problemOf(form, points);
  if (problem !== null) throw new UsageError('law', problem);
}

/** In words, what the runs lack for a fit of that form; null where they are enough. */
function problemOf(form: LawForm, points: readonly LawPoint[]): string | null {
  const { scales, exponents } = constantNames(form);
  const count = scales.length + exponents.length;
  if (points.length < count) {
    return `${form.name} has ${count} constants: expected at least ${count} runs, got ${points.length}. Train more.`;
  }
  const distinct = (of: (point: LawPoint) => number | undefined) => new Set(points.map(of)).size;
  const needs: [boolean, string, number][] = [
    [exponents.includes('alpha'), 'sizes', distinct(({ size }) => size)],
    [exponents.includes('beta') || scales.includes('C'), 'sparsities', distinct(({ sparsity }) => sparsity)],
    [exponents.includes('gamma'), 'numbers of tokens', distinct(({ tokens }) => tokens)],
  ];
  const lacking = needs.find(([needed, , got]) => needed && got < 2);
  if (lacking === undefined) return null;
  const [, what, got] = lacking;
  return `${form.name} needs runs of several ${what}: expected at least 2, got ${got}.`;
}

/**
 * Starts for fits of data that differ little: the constants, and the same with more of what a fit that ended without it would never find again, because there its gradient vanishes: a larger
 * B, and E where it is gone.
 */
export function startsNear({ form, constants, points }: LawFit): LawConstants[] {
  const starts = [constants];
  if (constants.B !== undefined && constants.beta !== undefined) {
    starts.push({ ...constants, B: 0.3 * sizeTerms(form, constants, 0), C: 0.7 * constants.C });
  }
  const least = Math.min(...points.map(({ loss }) => loss));
  if (constants.E < VANISHED_SHARE * least) {
    const { scales } = constantNames(form);
    const less = Object.fromEntries(scales.map((name) => [name, 0.7 * constants[name]]));
    starts.push({ ...constants, ...less, E: 0.3 * least });
  }
  return starts;
}

/** log L_predicted - log L_measured of runs that the fit may not have seen. */
export function logErrors(form: LawForm, constants: LawConstants, points: readonly LawPoint[]): number[] {
  return points.map((point) => Math.log(lawLoss(form, constants, point) / point.loss));
}
