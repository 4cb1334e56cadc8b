/**
 * PrefixCache: sequences of ended requests, kept while nobody needs their places, so that a prompt which begins alike runs the rest only.
 *
 * A conversation comes back with all that was said, and many requests share their instructions. A kept sequence can be taken by one
 * request, which truncates it to what the two have in common: it is taken where that saves at least as many tokens as are
 * forgotten of its prompt, else a few tokens that all prompts begin with would cost a long conversation. What the model
 * generated behind the prompt is not counted: it may never come back. Where a place is needed the least recently used one makes
 * room, and what the prompt has in common with it is taken along.
 */

import { commonLength } from '../util/common-length.ts';
import { UsageError } from '../util/errors.ts';
import type { SequenceOptions, TokenSequence } from './token-model.ts';

interface Kept {
  readonly sequence: TokenSequence;
  /** What the sequence holds. */
  readonly ids: readonly number[];
  readonly promptTokens: number;
  readonly key: string;
}

export class PrefixCache {
  /** The least recently used one first. */
  #kept: Kept[] = [];

  get size(): number {
    return this.#kept.length;
  }

  /** Owns `sequence` from now on; it holds `ids` and was made with `options`. */
  keep(sequence: TokenSequence, ids: readonly number[], promptTokens: number, options: SequenceOptions): void {
    this.#kept.push({ sequence, ids, promptTokens, key: keyOf(options) });
  }

  /**
   * A sequence made with equal options that holds a beginning of `promptIds`, never all of it, because the logits behind the
   * last one are wanted; the longest that is worth it, of equals the one used last. `needsPlace` says that a place must be freed otherwise: then it may be
   * the one that would have to go. null for none. The caller owns what it gets.
   */
  take(promptIds: readonly number[], options: SequenceOptions, needsPlace: boolean): TokenSequence | null {
    const key = keyOf(options);
    const commonWith = ({ key: ofKept, ids }: Kept) =>
      ofKept === key ? Math.min(commonLength(ids, promptIds), promptIds.length - 1) : 0;
    let best: Kept | null = null;
    let bestCommon = 0;
    for (const kept of this.#kept) {
      const common = commonWith(kept);
      const forgotten = Math.min(kept.promptTokens, kept.ids.length) - common;
      if (common > 0 && common >= bestCommon && common >= forgotten) {
        best = kept;
        bestCommon = common;
      }
    }
    const [oldest] = this.#kept;
    if (best === null && needsPlace && oldest && commonWith(oldest) > 0) {
      best = oldest;
      bestCommon = commonWith(oldest);
    }
    if (best === null) return null;
    this.#kept.splice(this.#kept.indexOf(best), 1);
    return truncated(best.sequence, bestCommon);
  }

  /** Releases the least recently used sequence; nothing where none is kept. */
  evict(): void {
    this.#kept.shift()?.sequence.release();
  }

  clear(): void {
    while (this.#kept.length > 0) this.evict();
  }
}

/** null, and the sequence released, where the model cannot go back so far: a sliding window has dropped what would be needed. */
function truncated(sequence: TokenSequence, length: number): TokenSequence | null {
  try {
    sequence.truncate(length);
    return sequence;
  } catch (error) {
    sequence.release();
    if (error instanceof UsageError) return null;
    throw error;
  }
}

/** Equal for equal options, whatever the order of their keys. */
function keyOf(options: SequenceOptions): string {
  return JSON.stringify(options, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
