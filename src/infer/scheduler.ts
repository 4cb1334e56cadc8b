/**
 * Scheduler: many requests over one model. Token ids in, streams of tokens out; it knows neither text nor what the model is.
 *
 * Continuous batching (Orca, OSDI 2022) with chunked prefill (Sarathi, arXiv 2308.16369), after the scheduler of nano-vllm: every step is
 * one run of the model over a batch that is made anew. One token for each sequence that decodes comes first, so that nobody's text
 * stalls; what is left of `maxBatchTokens` goes to prompts, in the order in which they came. At most `maxBatchTokens` requests
 * run, so that a token is left for a prompt whatever the others do: every step advances every text and the oldest prompt.
 * Requests are admitted in their order, but for clients that have fewer running than others, so that many requests of one do not shut the
 * others out; ended sequences are kept for prompts that begin alike (prefix-cache.ts).
 *
 * Nothing is reserved but the place in the cache, which has room for a whole context: no request is ever put back.
 */

import { BusyError, UsageError } from '../util/errors.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { checkRequest, type FinishReason, Generation, type GenerationOptions } from './generation.ts';
import { PrefixCache } from './prefix-cache.ts';
import type { Speculation } from './speculation.ts';
import type { BatchItem, SequenceOptions, TokenModel } from './token-model.ts';
import { TokenQueue, type TokenStream } from './token-queue.ts';

export interface SchedulerOptions {
  /** Most requests that wait; one more is refused with BusyError. Default 256. */
  maxQueued?: number;
  /** Most sequences at once, kept ones included. Default and limit: the model's. */
  maxSequences?: number;
  /** Most tokens of one run: smaller chunks of prompts let the texts of others flow more evenly. Default and limit: the model's. */
  maxBatchTokens?: number;
  /** Keep the sequences of ended requests for prompts that begin alike. Default true. */
  reusePrefixes?: boolean;
  /** Drafts several tokens at once where that pays. The tokens are the same. Default: none. */
  speculation?: Speculation;
}

/** A request to the scheduler. */
export interface ScheduledOptions extends GenerationOptions {
  /** Who asks: where several clients wait, the one with the fewest running requests is next. Default: all are one client. */
  client?: string;
}

interface Request {
  readonly promptIds: readonly number[];
  readonly options: ScheduledOptions;
  readonly sequenceOptions: SequenceOptions;
  readonly stream: TokenQueue;
  readonly onAbort: () => void;
  /** null: waits for a place. */
  generation: Generation | null;
  /** When it came, was admitted, and had its first token, in ms. */
  readonly submittedAt: number;
  admittedAt: number;
  firstTokenAt: number;
}

/** A request that is running, and what it runs in this step. */
interface Part {
  readonly request: Request;
  readonly generation: Generation;
  readonly item: BatchItem;
}

export class Scheduler {
  readonly #model: TokenModel;
  readonly #maxQueued: number;
  readonly #maxSequences: number;
  readonly #maxBatchTokens: number;
  readonly #reusePrefixes: boolean;
  readonly #speculation: Speculation | undefined;
  readonly #prefixes = new PrefixCache();
  /** The oldest first, both. */
  readonly #queue: Request[] = [];
  readonly #running: Request[] = [];
  /** Aborted by a callback in the middle of a step, which still needs their sequences. */
  #abortedInStep: Request[] | null = null;
  #ranTokens = 0;
  #isWorking = false;
  #isDisposed = false;

  /** Nobody else may use the model. Throws UsageError for a limit that is none. */
  constructor(model: TokenModel, options: SchedulerOptions = {}) {
    this.#model = model;
    this.#maxQueued = checkCount('maxQueued', options.maxQueued ?? 256);
    this.#maxSequences = limit('maxSequences', options.maxSequences, this.#model.maxSequences);
    this.#maxBatchTokens = limit('maxBatchTokens', options.maxBatchTokens, this.#model.maxBatchTokens);
    this.#reusePrefixes = options.reusePrefixes ?? true;
    this.#speculation = options.speculation;
  }

  /** Requests that wait, requests that run, and sequences that are kept of ended ones. */
  get counts(): { readonly queued: number; readonly running: number; readonly kept: number } {
    return { queued: this.#queue.length, running: this.#running.length, kept: this.#prefixes.size };
  }

  /** Tokens that have run for all requests: who compares it with its own knows whether it ran alone. */
  get ranTokens(): number {
    return this.#ranTokens;
  }

  /**
   * Begins a request; its tokens come without being asked for. Throws before anything has changed: UsageError for an empty prompt, one
   * longer than the context, a wrong option or a sampler in use, BusyError where the queue is full.
   */
  generate(promptIds: readonly number[], options: ScheduledOptions): TokenStream {
    if (this.#isDisposed)
      throw new UsageError('scheduler', 'it was disposed and takes no more requests. Make another.');
    checkRequest(this.#model, promptIds, options);
    if ([...this.#queue, ...this.#running].some((other) => other.options.sampler === options.sampler)) {
      throw new UsageError('scheduler', 'the sampler is in use by another request. Make one for each.');
    }
    const request = this.#requestOf(promptIds, options);
    if (options.signal?.aborted) {
      request.stream.end('aborted');
      return request.stream;
    }
    if (this.#queue.length - this.#freePlaces >= this.#maxQueued) {
      throw new BusyError('scheduler', `the queue is full: ${this.#maxQueued} requests wait. Try again later.`);
    }
    options.signal?.addEventListener('abort', request.onAbort);
    this.#queue.push(request);
    void this.#work();
    return request.stream;
  }

  /** Ends all requests as aborted and releases all sequences. */
  dispose(): void {
    this.#isDisposed = true;
    for (const request of [...this.#queue, ...this.#running]) this.#abort(request);
    this.#prefixes.clear();
  }

  #requestOf(promptIds: readonly number[], options: ScheduledOptions): Request {
    const abort = () => this.#abort(request);
    const request: Request = {
      promptIds: [...promptIds],
      options,
      sequenceOptions: options.sparsity === undefined ? {} : { sparsity: options.sparsity },
      stream: new TokenQueue(promptIds.length, abort),
      onAbort: abort,
      generation: null,
      submittedAt: performance.now(),
      admittedAt: 0,
      firstTokenAt: 0,
    };
    return request;
  }

  /** Requests that the next step can take beside those that run: they do not wait. */
  get #freePlaces(): number {
    return Math.min(this.#maxSequences, this.#maxBatchTokens) - this.#running.length;
  }

  /** Steps while there is anything to do. The first turn lets requests that are made in one go share the first batch. */
  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    do {
      await turnEventLoop();
      this.#step();
    } while (this.#queue.length + this.#running.length > 0);
    this.#isWorking = false;
  }

  #step(): void {
    this.#abortedInStep = [];
    try {
      while (this.#queue.length > 0 && this.#freePlaces > 0) {
        this.#admit(this.#nextQueued());
      }
      const batch = this.#plan();
      if (batch.length > 0) this.#runPlanned(batch);
    } catch (error) {
      // A reader must not wait for ever, whatever went wrong.
      for (const request of [...this.#running]) this.#fail(request, error);
    }
    const aborted = this.#abortedInStep;
    this.#abortedInStep = null;
    for (const request of aborted) this.#end(request, 'aborted');
  }

  /** The oldest request of those clients that have the fewest running. */
  #nextQueued(): Request {
    const running = new Map<string | undefined, number>();
    for (const { options } of this.#running) running.set(options.client, (running.get(options.client) ?? 0) + 1);
    const of = ({ options }: Request) => running.get(options.client) ?? 0;
    return this.#queue.reduce((next, request) => (of(request) < of(next) ? request : next));
  }

  /** Moves the request from the queue to a sequence. */
  #admit(request: Request): void {
    const { promptIds, options, sequenceOptions, stream } = request;
    const needsPlace = this.#running.length + this.#prefixes.size >= this.#maxSequences;
    try {
      // A kept sequence has no logits of its tokens any more.
      const mayBegin = options.promptLogprobs === undefined;
      let sequence = mayBegin ? this.#prefixes.take(promptIds, sequenceOptions, needsPlace) : null;
      if (sequence === null) {
        if (this.#running.length + this.#prefixes.size >= this.#maxSequences) this.#prefixes.evict();
        sequence = this.#model.createSequence(sequenceOptions);
      }
      stream.usage.cachedTokens = sequence.length;
      request.generation = new Generation(sequence, promptIds, options, this.#model.maxTokens);
      if (options.promptLogprobs !== undefined) stream.promptLogprobs = request.generation.promptLogprobs;
    } catch (error) {
      this.#fail(request, error);
      return;
    }
    request.admittedAt = performance.now();
    stream.usage.queueMs = request.admittedAt - request.submittedAt;
    this.#queue.splice(this.#queue.indexOf(request), 1);
    this.#running.push(request);
    if (request.generation.finishReason !== null) this.#end(request, request.generation.finishReason);
  }

  /** What each request runs in this step. */
  #plan(): Part[] {
    const active = this.#running.map((request) => ({ request, generation: request.generation as Generation }));
    const decoding = active.filter(({ generation }) => generation.pending === 1);
    const prompts = active.filter(({ generation }) => generation.pending > 1);
    let left = this.#maxBatchTokens - decoding.length;
    const drafts = prompts.length === 0 ? this.#speculation : undefined; // beside a prompt a step is long enough
    drafts?.beginStep(decoding.length);
    const parts: Part[] = [];
    for (const { request, generation } of decoding) {
      const room = Math.min(generation.draftRoom, left);
      const draft = drafts?.draft(generation.drafts, generation.ids, room) ?? [];
      left -= draft.length;
      parts.push({ request, generation, item: generation.next(1, draft) });
    }
    for (const { request, generation } of prompts) {
      if (left === 0) break;
      const item = generation.next(left);
      left -= item.ids.length;
      parts.push({ request, generation, item });
    }
    return parts;
  }

  /** Runs the batch; in a step that only decodes, speculation keeps its account. */
  #runPlanned(batch: readonly Part[]): void {
    const acceptedTokens = () => batch.reduce((sum, { generation }) => sum + generation.drafts.accepted, 0);
    const accepted = acceptedTokens();
    const isDecoding = batch.every(({ generation }) => generation.pending === 1);
    if (this.#run(batch) && isDecoding) this.#speculation?.endStep(acceptedTokens() - accepted);
  }

  /** Runs the batch and hands out what it gives; false where it failed. */
  #run(batch: readonly Part[]): boolean {
    let logits: readonly Float32Array[];
    try {
      logits = this.#model.run(batch.map(({ item }) => item));
    } catch (error) {
      // A UsageError leaves everything as it was: alone, only those fail that the model refuses.
      if (error instanceof UsageError && batch.length > 1) for (const part of batch) this.#run([part]);
      else for (const { request } of batch) this.#fail(request, error);
      return false;
    }
    for (const [i, part] of batch.entries()) this.#deliver(part, logits[i], i);
    return true;
  }

  #deliver({ request, generation, item }: Part, logits: Float32Array, place: number): void {
    const { weightUse } = this.#model;
    try {
      this.#countRun(request, item.ids.length, weightUse ? 1 - weightUse.ofItem(place) : Number.NaN);
      const tokens = generation.advance(item, logits, weightUse && ((token) => weightUse.ofToken(place, token)));
      this.#count(request, tokens.length, generation);
      for (const token of tokens) request.stream.push(token);
      request.stream.endToken = generation.endToken;
      if (generation.finishReason !== null) this.#end(request, generation.finishReason);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  #count(request: Request, tokens: number, { drafts }: Generation): void {
    const { usage } = request.stream;
    usage.draftedTokens = drafts.drafted;
    usage.acceptedTokens = drafts.accepted;
    if (tokens === 0) return;
    const now = performance.now();
    if (usage.tokens === 0) {
      request.firstTokenAt = now;
      usage.promptMs = now - request.admittedAt;
    }
    usage.tokens += tokens;
    usage.generateMs = now - request.firstTokenAt;
  }

  /** The sparsity of a run goes into the mean over all tokens that ran. */
  #countRun({ stream: { usage } }: Request, tokens: number, sparsity: number): void {
    const before = usage.ranTokens === 0 ? 0 : usage.sparsity * usage.ranTokens;
    usage.ranTokens += tokens;
    usage.sparsity = (before + sparsity * tokens) / usage.ranTokens;
    this.#ranTokens += tokens;
  }

  /** In a step only when it is over. */
  #abort(request: Request): void {
    if (this.#abortedInStep) this.#abortedInStep.push(request);
    else this.#end(request, 'aborted');
  }

  /** The request is over, wherever it is; a second call does nothing. */
  #end(request: Request, reason: FinishReason): void {
    const generation = this.#remove(request);
    if (generation) this.#keepOrRelease(request, generation);
    request.stream.end(reason);
  }

  /** As `#end`, with an error. What its sequence holds is not known for sure. */
  #fail(request: Request, error: unknown): void {
    this.#remove(request)?.sequence.release();
    request.stream.fail(error);
  }

  /** Takes the request out; returns its generation, which is the caller's to give back, if it had one. */
  #remove(request: Request): Generation | null {
    request.options.signal?.removeEventListener('abort', request.onAbort);
    for (const list of [this.#queue, this.#running]) {
      const at = list.indexOf(request);
      if (at >= 0) list.splice(at, 1);
    }
    const { generation } = request;
    request.generation = null;
    return generation;
  }

  #keepOrRelease({ sequenceOptions }: Request, { sequence, ids, promptTokens }: Generation): void {
    if (this.#reusePrefixes && !this.#isDisposed && sequence.length > 0) {
      this.#prefixes.keep(sequence, ids.slice(0, sequence.length), promptTokens, sequenceOptions);
    } else {
      sequence.release();
    }
  }
}

function limit(name: string, value: number | undefined, most: number): number {
  return Math.min(checkCount(name, value ?? most), most);
}

function checkCount(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new UsageError('scheduler', `${name} must be a whole number of at least 1, got ${value}.`);
}
