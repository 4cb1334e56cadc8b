/** What is a number of threads for the C backends. How many there are where nobody says: `default-threads.ts` in Node, the platform in wasm. */

import { UsageError } from '../util/errors.ts';

/** The largest number of threads that the C side takes. */
export const MAX_THREADS = 256;

/** `threads` itself. Throws UsageError for what is no number of threads. */
export function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS) return threads;
  throw new UsageError('threads', `cannot use ${threads} threads: expected a whole number from 1 to ${MAX_THREADS}.`);
}
