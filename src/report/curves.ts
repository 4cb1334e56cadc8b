/**
 * Long series made small enough to draw: smoothing and thinning.
 *
 * Smoothing comes first, at full length, so that a thinned curve is a subset of the smoothed one; thinning keeps the
 * extremes of each bucket, so that a spike of one step stays visible in a million.
 */

import { median } from '../util/median.ts';

/** Points per curve; more than the pixels of a wide screen only make the page slow. */
export const MAX_POINTS = 2000;

/** A fiftieth of the run, but never fewer than 5 steps: enough to see through the noise of small batches. */
const SMOOTHING_SHARE = 1 / 50;
const MIN_SMOOTHING_STEPS = 5;
/** The window of a value early in the run is this share of what came before: the loss falls fastest there. */
const EARLY_WINDOW_SHARE = 1 / 5;

/**
 * Exponential moving average with a window of a fiftieth of the length, smaller near the start so that the curve does not
 * lag behind. It begins at the first value. Values that are not finite are left out and come back as NaN.
 */
export function smooth(values: readonly number[]): number[] {
  const fullWindow = Math.max(MIN_SMOOTHING_STEPS, values.length * SMOOTHING_SHARE);
  let sum = 0;
  let weight = 0;
  return values.map((value, i) => {
    if (!isNumber(value)) return Number.NaN;
    const window = Math.min(fullWindow, 1 + i * EARLY_WINDOW_SHARE);
    const decay = 1 - 2 / (window + 1);
    sum = decay * sum + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return sum / weight;
  });
}

/**
 * Ascending indices of at most `maxPoints` values: the first, the last, and the smallest and largest of each of
 * maxPoints / 2 buckets between. All indices where there are no more than `maxPoints` values.
 */
export function thin(values: readonly number[], maxPoints = MAX_POINTS): number[] {
  if (values.length <= maxPoints) return values.map((_, i) => i);
  const kept = new Set([0, values.length - 1]);
  const buckets = Math.floor(maxPoints / 2) - 1;
  for (let bucket = 0; bucket < buckets; bucket++) {
    const first = Math.floor((bucket * values.length) / buckets);
    const end = Math.floor(((bucket + 1) * values.length) / buckets);
    let low = first;
    let high = first;
    for (let i = first; i < end; i++) {
      if (!(values[i] >= values[low])) low = i;
      if (!(values[i] <= values[high])) high = i;
    }
    kept.add(low).add(high);
  }
  return [...kept].sort((a, b) => a - b);
}

/** About `count` of `items`, evenly spread, the first and the last among them. */
export function evenSample<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))]);
}

export function mean(values: readonly number[]): number {
  const finite = values.filter(isNumber);
  return finite.length === 0 ? Number.NaN : finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

/** The median of those that are numbers: a pause of the machine does not count. NaN for none. */
export function usual(values: readonly number[]): number {
  return median(values.filter(isNumber));
}

/** Five significant digits: more than a screen shows, half the bytes of the page. */
export function rounded(values: readonly number[]): (number | null)[] {
  return values.map((value) => (isNumber(value) ? Number(value.toPrecision(5)) : null));
}

/** JSON has null for NaN, so a number of a record may be missing whatever its type says. */
function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
