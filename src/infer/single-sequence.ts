/**
 * SingleSequence: one sequence of a TokenModel at a time, for callers that have no more: append ids, get the logits behind the last.
 *
 * Divides what is longer than the model takes at once; the sequence is created with the first ids and begins anew after a reset.
 */

import type { SequenceOptions, TokenModel, TokenSequence } from './token-model.ts';

export class SingleSequence {
  readonly #model: TokenModel;
  readonly #options: SequenceOptions;
  #sequence: TokenSequence | null = null;

  constructor(model: TokenModel, options: SequenceOptions = {}) {
    this.#model = model;
    this.#options = options;
  }

  get maxTokens(): number {
    return this.#model.maxTokens;
  }

  /** Tokens in the cache: the position of the next one. */
  get position(): number {
    return this.#sequence?.length ?? 0;
  }

  /**
   * Appends the ids; the logits [V] that follow the last one, the model's memory until its next run. Throws what the model throws, and is
   * then as long as before.
   */
  prefill(ids: readonly number[]): Float32Array {
    this.#sequence ??= this.#model.createSequence(this.#options);
    const sequence = this.#sequence;
    const before = sequence.length;
    try {
      return this.#append(sequence, ids);
    } catch (error) {
      sequence.truncate(before);
      throw error;
    }
  }

  #append(sequence: TokenSequence, ids: readonly number[]): Float32Array {
    const { maxBatchTokens } = this.#model;
    let first = 0;
    for (; first + maxBatchTokens < ids.length; first += maxBatchTokens) {
      this.#model.run([{ sequence, ids: ids.slice(first, first + maxBatchTokens), logits: 'none' }]);
    }
    const [logits] = this.#model.run([{ sequence, ids: first === 0 ? ids : ids.slice(first), logits: 'last' }]);
    return logits;
  }

  /** As prefill, for one id. */
  decode(id: number): Float32Array {
    return this.prefill([id]);
  }

  /** Forgets all tokens. */
  reset(): void {
    this.#sequence?.truncate(0);
  }
}
