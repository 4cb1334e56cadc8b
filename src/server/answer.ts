/**
 * Answer: the texts of one request while they are generated: several choices, each a request of its own to the scheduler.
 *
 * All of them are accepted or none. Whatever happens, `close` is called once at the end and gives everything back: the model's lease, timers,
 * choices that nobody reads any more.
 */

import type { FinishReason } from '../infer/generation.ts';
import type { Sampler } from '../infer/sampler.ts';
import type { ScheduledOptions } from '../infer/scheduler.ts';
import type { TokenStream } from '../infer/token-queue.ts';
import { ApiError } from './api-error.ts';
import type { ModelLease } from './model-registry.ts';
import type { RequestLifetime } from './request-lifetime.ts';
import { type TextChunk, textChunks } from './text-chunks.ts';

/** What is to be generated. */
export interface TextRequest {
  /** Each is continued `n` times; choice = prompt * n + i. */
  readonly promptIds: readonly (readonly number[])[];
  readonly n: number;
  readonly samplerOf: (choice: number) => Sampler;
  readonly stop: readonly string[];
  /** The text goes on from the prompt, whose last tokens decide about a first space; else it begins anew. */
  readonly continues: boolean;
  readonly options: Omit<ScheduledOptions, 'sampler' | 'signal' | 'stopIds'>;
}

export interface Choice {
  readonly prompt: number;
  readonly stream: TokenStream;
  readonly chunks: AsyncGenerator<TextChunk, FinishReason>;
}

export type AnswerEvent =
  | { readonly choice: number; readonly chunk: TextChunk }
  | { readonly choice: number; readonly finishReason: FinishReason };

export interface WholeChoice {
  readonly chunks: readonly TextChunk[];
  readonly finishReason: FinishReason;
}

export class Answer {
  readonly lease: ModelLease;
  readonly lifetime: RequestLifetime;
  readonly choices: readonly Choice[];
  readonly startedAt = performance.now();
  readonly #onClose: (answer: Answer) => void;
  #isClosed = false;
  #isWhole = false;

  /** Owns lease and lifetime, also where it throws: what the scheduler throws, nothing begun. */
  constructor(
    request: TextRequest,
    lease: ModelLease,
    lifetime: RequestLifetime,
    onClose: (answer: Answer) => void = () => {},
  ) {
    this.lease = lease;
    this.lifetime = lifetime;
    this.#onClose = onClose;
    const choices: Choice[] = [];
    this.choices = choices;
    try {
      for (const [prompt, ids] of request.promptIds.entries()) {
        for (let i = 0; i < request.n; i++) choices.push(this.#begin(request, prompt, ids, choices.length));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #begin(request: TextRequest, prompt: number, ids: readonly number[], choice: number): Choice {
    const { tokenizer, scheduler } = this.lease.model;
    const stream = scheduler.generate(ids, {
      ...request.options,
      sampler: request.samplerOf(choice),
      stopIds: tokenizer.endIds,
      signal: this.lifetime.signal,
    });
    const decoding = tokenizer.decodeStream(request.continues ? ids : []);
    return { prompt, stream, chunks: textChunks(stream, decoding, request.stop) };
  }

  /** Every choice came to its end. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** What happens, in the order in which it does; throws ApiError where the request was ended, and what a choice throws. */
  async *events(): AsyncGenerator<AnswerEvent, void> {
    const arrivals = new Arrivals<{ choice: number; result: IteratorResult<TextChunk, FinishReason> }>();
    // Text is looked at as it is made, not as it is read: a stop string ends it whether the reader is slow or not.
    const expect = (choice: number) => {
      const next = this.choices[choice].chunks.next().then((result) => ({ choice, result }));
      arrivals.expect(next);
      next.then(
        ({ result }) => {
          if (!result.done) expect(choice);
        },
        () => {},
      );
    };
    for (const choice of this.choices.keys()) expect(choice);
    for (let running = this.choices.length; running > 0; ) {
      const { choice, result } = await arrivals.next();
      this.#throwIfEnded(result);
      if (result.done) {
        running--;
        yield { choice, finishReason: result.value };
      } else {
        yield { choice, chunk: result.value };
      }
    }
    this.#isWhole = true;
  }

  /** All choices whole. */
  async whole(): Promise<WholeChoice[]> {
    const chunks: TextChunk[][] = this.choices.map(() => []);
    const reasons: FinishReason[] = [];
    for await (const event of this.events()) {
      if ('chunk' in event) chunks[event.choice].push(event.chunk);
      else reasons[event.choice] = event.finishReason;
    }
    return chunks.map((own, choice) => ({ chunks: own, finishReason: reasons[choice] }));
  }

  /** Ends what still runs and gives everything back; a second call does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.lifetime.end('closed');
    this.lifetime.dispose();
    this.lease.release();
    this.#onClose(this);
  }

  #throwIfEnded({ done, value }: IteratorResult<TextChunk, FinishReason>): void {
    const { endedBy } = this.lifetime;
    if (endedBy === 'timeout') {
      const message = 'The answer took longer than this server allows (--timeout).';
      throw new ApiError(408, message, { code: 'timeout' });
    }
    if (endedBy !== null) throw new ApiError(408, 'The client is gone.', { code: 'client_closed_request' });
    if (done && value === 'aborted') {
      throw new ApiError(503, 'The server ended the answer: it stops, or unloads the model.', { code: 'stopping' });
    }
  }
}

/** Promises in the order in which they settle; a race would hang another reaction on each of them for every one that is taken. */
class Arrivals<T> {
  readonly #settled: Promise<T>[] = [];
  #wake = () => {};

  expect(promise: Promise<T>): void {
    const arrive = () => {
      this.#settled.push(promise);
      this.#wake();
    };
    promise.then(arrive, arrive);
  }

  async next(): Promise<T> {
    if (this.#settled.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#settled.shift() as Promise<T>;
  }
}
