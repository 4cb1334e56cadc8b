/**
 * EngineSequence: one sequence of an Engine: its slot in the cache, its length, and how much of each input it keeps.
 *
 * Holds no tokens and no memory. With a sliding window it also knows how far back its slot still reaches.
 */

import type { Point } from '../model/config.ts';
import type { SelectionRule } from '../ops/sparsify.ts';
import { UsageError } from '../util/errors.ts';
import type { KvCache } from './kv-cache.ts';
import type { TokenSequence } from './token-model.ts';

/** What each point keeps, by layer. Sequences that keep the same share one table. */
export type KeptTable = Readonly<Record<Point, readonly SelectionRule[]>>;

export class EngineSequence implements TokenSequence {
  readonly slot: number;
  readonly kept: KeptTable;
  readonly #cache: Pick<KvCache, 'window' | 'positions'>;
  readonly #onRelease: (sequence: EngineSequence) => void;
  #length = 0;
  /** One past the last position ever written: what lies a ring or more behind it is overwritten. */
  #written = 0;
  #released = false;

  constructor(
    slot: number,
    kept: KeptTable,
    cache: Pick<KvCache, 'window' | 'positions'>,
    onRelease: (sequence: EngineSequence) => void,
  ) {
    this.slot = slot;
    this.kept = kept;
    this.#cache = cache;
    this.#onRelease = onRelease;
  }

  get length(): number {
    return this.#length;
  }

  get released(): boolean {
    return this.#released;
  }

  /** For the engine: so many tokens are in the cache now. */
  append(tokens: number): void {
    this.#length += tokens;
    this.#written = Math.max(this.#written, this.#length);
  }

  truncate(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.#length)) {
      throw new UsageError('engine', `cannot cut a sequence to ${length} tokens: it has ${this.#length}.`);
    }
    const { window, positions } = this.#cache;
    // The next token looks back on window - 1 of those that stay.
    const oldest = Math.max(0, window === 0 ? 0 : length - window + 1);
    if (oldest < length && oldest < this.#written - positions) {
      throw new UsageError(
        'engine',
        `cannot cut a sequence to ${length} tokens: its sliding window has dropped what stands before position ` +
          `${this.#written - positions}, and position ${oldest} would be needed. Cut to 0 and run the tokens again.`,
      );
    }
    this.#length = length;
    if (length === 0) this.#written = 0;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this);
  }
}
