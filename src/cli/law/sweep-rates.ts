/** Which learning rates a sweep tries: those of the plan, and on beyond them while the best stands at an end. */

export interface TriedRate {
  readonly lr: number;
  /** Nats per token; Infinity where training diverged. */
  readonly loss: number;
}

/** So many rates are tried beyond those of a plan, for each size and format, before the end is taken as the best. */
const MOST_BEYOND = 4;

/** The rate of the lowest loss, of equal ones the lowest: where all diverged the way leads down. `tried` has at least one. */
export function bestRate(tried: readonly TriedRate[]): number {
  return tried.reduce((best, one) => (isBetter(one, best) ? one : best)).lr;
}

function isBetter(one: TriedRate, other: TriedRate): boolean {
  return one.loss === other.loss ? one.lr < other.lr : one.loss < other.loss;
}

/**
 * The rate to try next: one step beyond the best where that is the lowest or the highest so far, a step being the ratio of the two rates at that
 * end. null where the best lies between others, where there are fewer than two rates to take a step from, or where `planned` have been
 * exceeded by enough. Rates have six digits, so that a name made of one is the same when it is computed again.
 */
export function nextRate(tried: readonly TriedRate[], planned: number): number | null {
  const rates = tried.map(({ lr }) => lr).sort((a, b) => a - b);
  if (planned < 2 || rates.length < 2 || rates.length >= planned + MOST_BEYOND) return null;
  const best = bestRate(tried);
  const beyond = (end: number, inner: number) => Number((end * (end / inner)).toPrecision(6));
  if (best === rates[0]) return beyond(rates[0], rates[1]);
  if (best === rates.at(-1)) return beyond(best, rates.at(-2)!);
  return null;
}
