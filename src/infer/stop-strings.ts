/**
 * StopStrings: cuts a stream of text before the first stop string, also where one is spread over several pieces.
 *
 * A tail that could still become a stop string is held back until it does or cannot any more, so that nothing is ever
 * shown that should have been cut.
 */

import { UsageError } from '../util/errors.ts';

export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';

  /** Throws UsageError for an empty stop string, which would end every text at once. */
  constructor(stops: readonly string[]) {
    if (stops.includes('')) throw new UsageError('stop', 'a stop string is empty. Leave it out to stop nowhere.');
    this.#stops = stops;
  }

  /** The text that is safe to show after `piece`, and whether a stop string ended it. The earliest one counts. */
  push(piece: string): { text: string; stopped: boolean } {
    const pending = this.#held + piece;
    const at = Math.min(...this.#stops.map((stop) => pending.indexOf(stop)).filter((index) => index >= 0));
    if (at !== Infinity) {
      this.#held = '';
      return { text: pending.slice(0, at), stopped: true };
    }
    const safe = pending.length - this.#longestBeginning(pending);
    this.#held = pending.slice(safe);
    return { text: pending.slice(0, safe), stopped: false };
  }

  /** What was held back, once no more text comes. */
  flush(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  /** Length of the longest end of `text` with which a stop string begins. */
  #longestBeginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
