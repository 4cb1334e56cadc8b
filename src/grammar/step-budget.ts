/**
 * StepBudget: what compiling one schema may cost in time.
 *
 * Bounds of each place alone do not bound a schema that has thousands of such places; so whatever grows faster than the schema counts its steps here.
 */

import { refusal } from './schema-error.ts';

/** A step takes some tens of nanoseconds: all of them about a second. Real schemas need a hundredth. */
const MOST_STEPS = 20_000_000;

export class StepBudget {
  #left = MOST_STEPS;

  /** Throws UsageError, with what to do, where nothing is left; `pointer` is the place where that is. */
  spend(steps: number, pointer: string, advice: string): void {
    this.#left -= steps;
    if (this.#left >= 0) return;
    throw refusal(pointer, `too much to work out: expected at most ${MOST_STEPS} steps in all, got more. ${advice}`);
  }
}
