/**
 * A TokenModel without a model: logits are a pure function of the ids of a sequence (and of its sparsity), so that any mistake of
 * caching, truncation or batching is a wrong token.
 *
 * It holds its callers to the contract: every breach throws an Error, and is listed in `breaches` in case somebody catches that. Logits
 * live until the next run, when they become NaN, an error in any sampler.
 */

import type { Sampler } from '../../src/infer/sampler.ts';
import type { BatchItem, SequenceOptions, TokenModel, TokenSequence } from '../../src/infer/token-model.ts';
import { UsageError } from '../../src/util/errors.ts';
import { hash32 } from '../../src/util/prng.ts';

export type LogitsOf = (ids: readonly number[], options: SequenceOptions) => ArrayLike<number>;

export interface FakeOptions {
  vocabSize?: number;
  maxTokens?: number;
  maxSequences?: number;
  maxBatchTokens?: number;
  logitsOf?: LogitsOf;
}

/** Every token depends on all ids before it. */
export function hashedLogits(vocabSize: number): LogitsOf {
  return (ids, { sparsity = 0 }) => {
    const seed = hash32(typeof sparsity === 'number' ? sparsity * 1000 : 7, ...ids);
    return Float32Array.from({ length: vocabSize }, (_, id) => (hash32(seed, id) / 2 ** 32) * 6);
  };
}

class FakeSequence implements TokenSequence {
  readonly ids: number[] = [];
  readonly options: SequenceOptions;
  readonly #model: FakeTokenModel;

  constructor(model: FakeTokenModel, options: SequenceOptions) {
    this.#model = model;
    this.options = options;
  }

  get length(): number {
    this.#model.expectLive(this);
    return this.ids.length;
  }

  truncate(length: number): void {
    this.#model.expectLive(this);
    if (!Number.isInteger(length) || length < 0 || length > this.ids.length)
      this.#model.breach(`truncate(${length}) of ${this.ids.length}`);
    if (length < this.#model.oldestTruncation)
      throw new UsageError('fake', 'the window has dropped what would be needed.');
    this.ids.length = length;
  }

  release(): void {
    this.#model.live.delete(this);
  }
}

export class FakeTokenModel implements TokenModel {
  readonly vocabSize: number;
  readonly maxTokens: number;
  readonly maxSequences: number;
  readonly maxBatchTokens: number;
  readonly logitsOf: LogitsOf;
  readonly live = new Set<FakeSequence>();
  /** Tokens of each item of each run. */
  readonly runs: number[][] = [];
  readonly breaches: string[] = [];
  /** Most sequences that were live at once. */
  mostLive = 0;
  /** Truncation below this length is refused, as by a sliding window. */
  oldestTruncation = 0;
  /** Called before anything else in `run`; may throw. */
  beforeRun: (batch: readonly BatchItem[]) => void = () => {};
  #logits: Float32Array[] = [];

  constructor(options: FakeOptions = {}) {
    this.vocabSize = options.vocabSize ?? 23;
    this.maxTokens = options.maxTokens ?? 40;
    this.maxSequences = options.maxSequences ?? 3;
    this.maxBatchTokens = options.maxBatchTokens ?? 8;
    this.logitsOf = options.logitsOf ?? hashedLogits(this.vocabSize);
  }

  get tokens(): number {
    return this.runs.flat().reduce((sum, tokens) => sum + tokens, 0);
  }

  createSequence(options: SequenceOptions = {}): TokenSequence {
    if (this.live.size >= this.maxSequences) throw new UsageError('fake', `${this.maxSequences} sequences are in use.`);
    if (typeof options.sparsity === 'number' && options.sparsity >= 1) throw new UsageError('fake', 'sparsity of 1.');
    const sequence = new FakeSequence(this, options);
    this.live.add(sequence);
    this.mostLive = Math.max(this.mostLive, this.live.size);
    return sequence;
  }

  run(batch: readonly BatchItem[]): readonly Float32Array[] {
    for (const old of this.#logits) old.fill(Number.NaN);
    this.beforeRun(batch);
    const tokens = batch.map(({ ids }) => ids.length);
    if (batch.length === 0) this.breach('an empty batch');
    if (tokens.reduce((a, b) => a + b) > this.maxBatchTokens) this.breach(`${tokens} tokens at once`);
    if (new Set(batch.map(({ sequence }) => sequence)).size < batch.length) this.breach('a sequence twice in a batch');
    for (const { sequence, ids } of batch) {
      this.expectLive(sequence);
      if (ids.length === 0 || sequence.length + ids.length > this.maxTokens) this.breach(`${ids.length} ids more`);
      if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < this.vocabSize)) this.breach(`ids ${ids}`);
    }
    this.runs.push(tokens);
    this.#logits = batch.map((item) => this.#runItem(item));
    return this.#logits;
  }

  expectLive(sequence: TokenSequence): void {
    if (!(sequence instanceof FakeSequence && this.live.has(sequence))) this.breach('a sequence that was released');
  }

  breach(what: string): never {
    this.breaches.push(what);
    throw new Error(`breach of TokenModel's contract: ${what}`);
  }

  #runItem({ sequence, ids, logits }: BatchItem): Float32Array {
    const { ids: cached, options } = sequence as FakeSequence;
    const rows: number[] = [];
    for (const [i, id] of ids.entries()) {
      cached.push(id);
      if (logits === 'all' || (logits === 'last' && i === ids.length - 1))
        rows.push(...Array.from(this.logitsOf(cached, options)));
    }
    return Float32Array.from(rows);
  }
}

export interface PlainRequest {
  promptIds: readonly number[];
  sampler: Sampler;
  maxTokens?: number;
  stopIds?: readonly number[];
  options?: SequenceOptions;
}

/** What a request must give, by the plainest loop: the logits of the whole text for each token. */
export function plainTokens(model: FakeTokenModel, request: PlainRequest): { ids: number[]; reason: string } {
  const { promptIds, sampler, maxTokens = Infinity, stopIds = [], options = {} } = request;
  const ids: number[] = [];
  sampler.begin(promptIds);
  while (ids.length < maxTokens) {
    if (promptIds.length + ids.length > model.maxTokens) return { ids, reason: 'context' };
    const id = sampler.sample(Float32Array.from(model.logitsOf([...promptIds, ...ids], options)));
    if (stopIds.includes(id)) return { ids, reason: 'stop' };
    ids.push(id);
  }
  return { ids, reason: 'length' };
}

export interface Collected {
  ids: number[];
  reason: string;
}

/** All ids of a stream, and why it ended. */
export async function collect(tokens: AsyncIterator<{ id: number }, string>): Promise<Collected> {
  const ids: number[] = [];
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ids, reason: next.value };
    ids.push(next.value.id);
  }
}
