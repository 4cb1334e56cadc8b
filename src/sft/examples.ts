/**
 * Examples: the encoded conversations of a fine-tuning, one after the other in growing arrays, and the hash by which a run knows them again.
 *
 * An example of n ids is n - 1 predictions: all but the last id are read, all but the first predicted. What is longer than a context is cut at
 * its end; an example whose answers would all be cut off is left out, since it teaches nothing.
 */

import { createHash } from 'node:crypto';
import type { EncodedConversation } from './encode-conversation.ts';

/** How an example was taken. */
export type Taken = 'whole' | 'cut' | 'dropped';

const NO_TARGET = -1;

export class Examples {
  /** Ids of one example, that is the context and one more. */
  readonly #mostIds: number;
  #ids = new Int32Array(2 ** 12);
  #isAnswer = new Uint8Array(2 ** 12);
  readonly #starts: number[] = [0];
  readonly #hash = createHash('sha256');

  constructor(seqLen: number) {
    this.#mostIds = seqLen + 1;
  }

  get count(): number {
    return this.#starts.length - 1;
  }

  /** Adds one, cut to the context. */
  add({ ids, isAnswer }: EncodedConversation): Taken {
    const kept = Math.min(ids.length, this.#mostIds);
    if (!isAnswer.slice(1, kept).includes(true)) return 'dropped';
    const start = this.#starts[this.count];
    while (start + kept > this.#ids.length) this.#grow();
    for (let i = 0; i < kept; i++) {
      this.#ids[start + i] = ids[i];
      this.#isAnswer[start + i] = isAnswer[i] ? 1 : 0;
    }
    this.#hash.update(this.#ids.subarray(start, start + kept)).update(this.#isAnswer.subarray(start, start + kept));
    this.#starts.push(start + kept);
    return kept < ids.length ? 'cut' : 'whole';
  }

  /** Predictions of an example: what it takes of a row. */
  lengthOf(example: number): number {
    return this.#starts[example + 1] - this.#starts[example] - 1;
  }

  /** Predictions of an example that count. */
  answersOf(example: number): number {
    return this.#answers(example).reduce((sum, counts) => sum + counts, 0);
  }

  /** The ids of the answers of an example. */
  answerIds(example: number): number[] {
    const answers = this.#answers(example);
    const first = this.#starts[example] + 1;
    return [...this.#ids.subarray(first, first + answers.length)].filter((_, i) => answers[i] === 1);
  }

  /** Writes the ids and targets of an example from `at` on; targets that do not count are -1. */
  write(example: number, at: number, ids: Int32Array, targets: Int32Array): void {
    const [start, length] = [this.#starts[example], this.lengthOf(example)];
    ids.set(this.#ids.subarray(start, start + length), at);
    for (let i = 0; i < length; i++) {
      const next = start + i + 1;
      targets[at + i] = this.#isAnswer[next] === 1 ? this.#ids[next] : NO_TARGET;
    }
  }

  /** Of all ids, masks and borders so far. */
  digest(): string {
    return this.#hash.copy().update(Int32Array.from(this.#starts)).digest('hex');
  }

  #answers(example: number): Uint8Array {
    return this.#isAnswer.subarray(this.#starts[example] + 1, this.#starts[example + 1]);
  }

  #grow(): void {
    const [ids, isAnswer] = [this.#ids, this.#isAnswer];
    this.#ids = new Int32Array(ids.length * 2);
    this.#ids.set(ids);
    this.#isAnswer = new Uint8Array(ids.length * 2);
    this.#isAnswer.set(isAnswer);
  }
}
