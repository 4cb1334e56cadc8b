/**
 * StopStrings: cuts a stream of text before the first stop string, also where one is spread over several pieces.
 *
 * A tail that could still become a stop string is held back until it does or cannot any more, so that nothing is ever
 * shown that should have been cut. The stop string that is complete first ends the text, whatever pieces the text comes in; of several that end
 * together the longest one.
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

  /** The text that is safe to show after `piece`, and whether a stop string ended it. */
  push(piece: string): { text: string; stopped: boolean } {
    const pending = this.#held + piece;
    const found = this.#firstComplete(pending);
    if (found !== null) {
      this.#held = '';
      return { text: pending.slice(0, found.begin), stopped: true };
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

  #firstComplete(text: string): { begin: number; end: number } | null {
    const found = this.#stops
      .map((stop) => ({ begin: text.indexOf(stop), length: stop.length }))
      .filter(({ begin }) => begin >= 0)
      .map(({ begin, length }) => ({ begin, end: begin + length }));
    return found.sort((a, b) => a.end - b.end || a.begin - b.begin)[0] ?? null;
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
