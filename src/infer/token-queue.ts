/**
 * TokenQueue: the tokens of a request between who makes them and who reads them; for the reader an async iterator.
 *
 * The scheduler does not wait for readers: a request holds at most its own tokens here, and a slow reader must not slow down the others.
 * No promise exists that nobody asked for, so that an error nobody reads is no unhandled rejection.
 */

import type { FinishReason, GeneratedToken } from './generation.ts';
import type { TokenLogprobs } from './logprobs.ts';

/** Counts and times of a request; they grow while it runs. */
export interface Usage {
  promptTokens: number;
  /** Tokens of the prompt that did not run again: a kept sequence began with them. */
  cachedTokens: number;
  /** Generated tokens. */
  tokens: number;
  /** Drafted and accepted ids of speculation. */
  draftedTokens: number;
  acceptedTokens: number;
  /** Until it was admitted; from there to the first token; from there to the last. */
  queueMs: number;
  promptMs: number;
  generateMs: number;
  /** Tokens that ran: of the prompt, generated ones, refused drafts. */
  ranTokens: number;
  /** Mean share of the blocks' weights that zeros skipped, over the tokens that ran; NaN where the model does not count. */
  sparsity: number;
}

/**
 * The tokens of one request. Its end is the reason for it; after it `next` gives the same again. Whoever stops reading early
 * (`return`, which a `break` in for-await calls) ends the request. An error of the request is thrown by `next`.
 */
export interface TokenStream extends AsyncIterableIterator<GeneratedToken, FinishReason, void> {
  readonly usage: Readonly<Usage>;
  /** Of prompt tokens 1, 2, …, whole when the first token comes or the request ends; null where they were not asked for. */
  readonly promptLogprobs: readonly TokenLogprobs[] | null;
  /** At the end: the stop token that ended the text, which is no part of it, with its log-probabilities; null where none did or they were not asked for. */
  readonly endToken: GeneratedToken | null;
  return(): Promise<IteratorResult<GeneratedToken, FinishReason>>;
}

type Result = IteratorResult<GeneratedToken, FinishReason>;
type End = { readonly reason: FinishReason } | { readonly error: unknown };

interface Reader {
  resolve(result: Result): void;
  reject(error: unknown): void;
}

export class TokenQueue implements TokenStream {
  readonly usage: Usage;
  promptLogprobs: readonly TokenLogprobs[] | null = null;
  endToken: GeneratedToken | null = null;
  readonly #onReturn: () => void;
  #tokens: GeneratedToken[] = [];
  #read = 0;
  #readers: Reader[] = [];
  #end: End | null = null;

  /** `onReturn` ends the request. */
  constructor(promptTokens: number, onReturn: () => void) {
    this.#onReturn = onReturn;
    this.usage = {
      promptTokens,
      cachedTokens: 0,
      tokens: 0,
      draftedTokens: 0,
      acceptedTokens: 0,
      queueMs: 0,
      promptMs: 0,
      generateMs: 0,
      ranTokens: 0,
      sparsity: Number.NaN,
    };
  }

  push(token: GeneratedToken): void {
    if (this.#end) return;
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ done: false, value: token });
    else this.#tokens.push(token);
  }

  end(reason: FinishReason): void {
    this.#close({ reason });
  }

  fail(error: unknown): void {
    this.#close({ error });
  }

  async next(): Promise<Result> {
    if (this.#read < this.#tokens.length) return { done: false, value: this.#tokens[this.#read++] };
    if (this.#end) return resultOf(this.#end);
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  async return(): Promise<Result> {
    if (!this.#end) this.#onReturn();
    this.#close({ reason: 'aborted' });
    this.#tokens = [];
    return { done: true, value: this.#end && 'reason' in this.#end ? this.#end.reason : 'aborted' };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Only the first end counts. Readers wait only where no token is left. */
  #close(end: End): void {
    if (this.#end) return;
    this.#end = end;
    for (const reader of this.#readers) {
      if ('error' in end) reader.reject(end.error);
      else reader.resolve({ done: true, value: end.reason });
    }
    this.#readers = [];
  }
}

function resultOf(end: End): Result {
  if ('error' in end) throw end.error;
  return { done: true, value: end.reason };
}
