/**
 * Rounds of measurements: every variant once per round, side by side, so that a machine that gets slower or faster on
 * the way does so for all of them alike.
 *
 * The first round warms up caches and the compiler and is thrown away. A value is the median over rounds; a ratio is
 * the median of the ratios inside each round, which drift cancels from.
 */

import { QSparseError } from '../util/errors.ts';
import { median } from '../util/median.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';

/** Takes word of how far it is: the command's status line, or a page. */
export interface Progress {
  update(status: { label: string; done: number; total: number }): void;
  done(): void;
}

export interface RoundsOptions {
  label: string;
  /** Rounds that count. */
  repeat: number;
  progress: Progress;
  /** Ends after the measurement in hand; whole rounds count. */
  signal: AbortSignal;
}

/** The values of `measure` by variant, one per complete round. Throws QSparseError if stopped before there is one. */
export async function measureRounds<V, T>(
  variants: readonly V[],
  measure: (variant: V) => T | Promise<T>,
  { label, repeat, progress, signal }: RoundsOptions,
): Promise<T[][]> {
  const rounds: T[][] = [];
  const total = (repeat + 1) * variants.length;
  for (let round = 0; round <= repeat && !signal.aborted; round++) {
    const values: T[] = [];
    for (const variant of variants) {
      progress.update({ label, done: round * variants.length + values.length, total });
      values.push(await measure(variant));
      // The event loop must turn, or Ctrl-C would never arrive.
      await turnEventLoop();
      if (signal.aborted) break;
    }
    if (round > 0 && values.length === variants.length) rounds.push(values);
  }
  progress.done();
  if (rounds.length === 0) throw new QSparseError('bench', 'stopped before the first round was complete.');
  return variants.map((_, v) => rounds.map((values) => values[v]));
}

/** The rows of one after the other; where it is stopped those of all that are complete. Throws what `measure` throws, stopped before the first too. */
export async function rowsOfEach<T, R>(
  items: Iterable<T>,
  signal: AbortSignal,
  measure: (item: T) => Promise<readonly R[]>,
): Promise<R[]> {
  const rows: R[] = [];
  for (const item of items) {
    if (signal.aborted) break;
    try {
      rows.push(...(await measure(item)));
    } catch (error) {
      if (!signal.aborted || rows.length === 0) throw error;
    }
  }
  return rows;
}

/** (largest - smallest) / median: how far a measurement can be trusted. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** Median over rounds of base / value: how many times faster than the base. */
export function speedup(baseMs: readonly number[], ms: readonly number[]): number {
  return median(baseMs.map((base, round) => base / ms[round]));
}
