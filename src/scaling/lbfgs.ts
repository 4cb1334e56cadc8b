/**
 * lbfgs: the minimum of a smooth function of a few variables, from its values and gradients.
 *
 * L-BFGS with the two-loop recursion and a line search for the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization, 2nd
 * edition, algorithms 7.4, 3.5 and 3.6), in f64. The objectives of this folder have at most eight variables and cost microseconds.
 */

/** The value at x; writes the gradient into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface LbfgsOptions {
  readonly maxIterations?: number;
  /** Stops where no entry of the gradient is larger. */
  readonly gradientTolerance?: number;
  /** Stops where an iteration gained less than this share of the value, twice in a row. */
  readonly valueTolerance?: number;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  readonly iterations: number;
  /** Largest entry of the gradient. */
  readonly gradientNorm: number;
}

interface Place {
  readonly x: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
}

/** Pairs of steps and changes of the gradient that are remembered. */
const MEMORY = 10;
/** Of the strong Wolfe conditions: the value must fall, the slope must flatten. */
const SUFFICIENT_DECREASE = 1e-4;
const CURVATURE = 0.9;
const MAX_LINE_STEPS = 30;

export function lbfgs(objective: Objective, start: ArrayLike<number>, options: LbfgsOptions = {}): Minimum {
  const { maxIterations = 500, gradientTolerance = 1e-9, valueTolerance = 1e-13 } = options;
  const evaluate = (x: Float64Array): Place => {
    const gradient = new Float64Array(x.length);
    return { x, value: objective(x, gradient), gradient };
  };
  let place = evaluate(Float64Array.from(start));
  let pairs: Pair[] = [];
  let iterations = 0;
  let idle = 0;
  while (iterations < maxIterations && largest(place.gradient) > gradientTolerance && idle < 2) {
    const direction = descent(place.gradient, pairs);
    const firstStep = pairs.length === 0 ? Math.min(1, 1 / norm(place.gradient)) : 1;
    const next = lineSearch(evaluate, place, direction, firstStep);
    if (next === null) {
      // The remembered curvature may mislead: once more from the steepest descent, then it is the minimum.
      if (pairs.length === 0) break;
      pairs = [];
      continue;
    }
    iterations++;
    idle = place.value - next.value <= valueTolerance * Math.abs(place.value) ? idle + 1 : 0;
    pairs = remember(pairs, place, next);
    place = next;
  }
  return { x: place.x, value: place.value, iterations, gradientNorm: largest(place.gradient) };
}

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly curvature: number;
}

function remember(pairs: Pair[], from: Place, to: Place): Pair[] {
  const step = to.x.map((value, i) => value - from.x[i]);
  const change = to.gradient.map((value, i) => value - from.gradient[i]);
  const curvature = dot(step, change);
  // The Wolfe conditions make it positive, rounding may not.
  if (!(curvature > 1e-16 * norm(step) * norm(change))) return pairs;
  return [...pairs.slice(1 - MEMORY), { step, change, curvature }];
}

/** Minus the inverse Hessian, as the pairs know it, times the gradient. */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const shares: number[] = [];
  for (const { step, change, curvature } of pairs.toReversed()) {
    const share = dot(step, direction) / curvature;
    shares.push(share);
    addScaled(direction, change, -share);
  }
  const last = pairs.at(-1);
  if (last) scale(direction, last.curvature / dot(last.change, last.change));
  for (const { step, change, curvature } of pairs) {
    addScaled(direction, step, shares.pop()! - dot(change, direction) / curvature);
  }
  return direction;
}

interface LinePoint extends Place {
  readonly step: number;
  readonly slope: number;
}

/** A step along `direction` that meets the strong Wolfe conditions, or at least lowers the value; null where none does. */
function lineSearch(
  evaluate: (x: Float64Array) => Place,
  from: Place,
  direction: Float64Array,
  firstStep: number,
): Place | null {
  const at = (step: number): LinePoint => {
    const place = evaluate(from.x.map((value, i) => value + step * direction[i]));
    return { ...place, step, slope: dot(place.gradient, direction) };
  };
  const start: LinePoint = { ...from, step: 0, slope: dot(from.gradient, direction) };
  if (!(start.slope < 0)) return null;
  const isHigh = ({ value, step }: LinePoint) => !(value <= start.value + SUFFICIENT_DECREASE * step * start.slope);
  const isFlat = ({ slope }: LinePoint) => Math.abs(slope) <= -CURVATURE * start.slope;
  let previous = start;
  let step = firstStep;
  for (let i = 0; i < MAX_LINE_STEPS; i++) {
    const point = at(step);
    if (isHigh(point) || (i > 0 && point.value >= previous.value)) return zoom(at, previous, point, isHigh, isFlat);
    if (isFlat(point)) return point;
    if (point.slope >= 0) return zoom(at, point, previous, isHigh, isFlat);
    previous = point;
    step *= 2;
  }
  return previous.step > 0 ? previous : null;
}

/** Narrows the interval between `low`, the lower end so far, and `high` until a point in it fits. */
function zoom(
  at: (step: number) => LinePoint,
  low: LinePoint,
  high: LinePoint,
  isHigh: (point: LinePoint) => boolean,
  isFlat: (point: LinePoint) => boolean,
): LinePoint | null {
  let [best, other] = [low, high];
  for (let i = 0; i < MAX_LINE_STEPS; i++) {
    const point = at(between(best, other));
    if (isHigh(point) || point.value >= best.value) {
      other = point;
      continue;
    }
    if (isFlat(point)) return point;
    if (point.slope * (other.step - best.step) >= 0) other = best;
    best = point;
  }
  return best.step > 0 ? best : null;
}

/** The minimum of the parabola through the better end, its slope and the other end, or the middle where that is near an end. */
function between(best: LinePoint, other: LinePoint): number {
  const width = other.step - best.step;
  const minimum = (-best.slope * width * width) / (2 * (other.value - best.value - best.slope * width));
  const share = minimum / width;
  return best.step + width * (share > 0.1 && share < 0.9 ? share : 0.5);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

function largest(a: Float64Array): number {
  return a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function addScaled(target: Float64Array, other: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] += factor * other[i];
}

function scale(target: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] *= factor;
}
