/**
 * scoreRequests: the log-probability of every continuation, with equal beginnings computed once and many sequences in one batch.
 *
 * The requests are sorted by their ids; then those that begin alike stand next to each other, and a sequence that walks along them
 * truncates its cache to what two neighbours have in common and runs the rest: each distinct beginning once, be it a preset of examples, the
 * question of four choices or the first words of two choices. Logits are gone after the next run, so a row is read for everybody at once: for
 * the neighbours that begin with the same ids too, whichever id follows there.
 *
 * The sorted requests are divided into as many stretches as there are sequences, of about the same number of tokens to run; each
 * sequence walks along one of them (a lane), all lanes in one batch. Contiguous stretches and not a common queue: a beginning that
 * many share is then computed by one lane, or by the two that its requests fall into.
 */

import type { BatchItem, SequenceOptions, TokenModel, TokenSequence } from '../infer/token-model.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import { commonLength } from '../util/common-length.ts';
import { UsageError } from '../util/errors.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { normalizerOf } from './log-softmax.ts';
import type { Scored, ScoreRequest } from './score-request.ts';

export interface ScoreOptions {
  /** Replaces the model's sparsity. */
  sparsity?: SparsityOverride;
  /** Most sequences at once; default: as many as the model has. */
  lanes?: number;
  /** Looked at between two runs; the promise then resolves with what is not scored left out. */
  signal?: AbortSignal;
  /** Called as soon as a request is scored, with its place in `requests`. */
  onScored: (index: number, scored: Scored) => void;
}

/** Longest stretch without a turn of the event loop, in ms. */
const TURN_EVERY_MS = 20;

/** Returns how many tokens were run. Throws UsageError for a request that does not fit the model, before anything is run. */
export async function scoreRequests(
  model: TokenModel,
  requests: readonly ScoreRequest[],
  options: ScoreOptions,
): Promise<number> {
  const { sparsity, signal, onScored } = options;
  const sorted = requests.map((request, index) => jobOf(model, request, index)).sort(byIds);
  const count = Math.min(options.lanes ?? Infinity, model.maxSequences, model.maxBatchTokens, sorted.length);
  const sequenceOptions = sparsity === undefined ? {} : { sparsity };
  let lanes = stretches(sorted, count).map((jobs) => new Lane(model, jobs, sequenceOptions, onScored));
  let tokens = 0;
  let turnedAt = performance.now();
  try {
    for (;;) {
      lanes = lanes.filter((lane) => lane.advance());
      if (lanes.length === 0 || signal?.aborted) return tokens;
      const items = plan(lanes, model.maxBatchTokens);
      const logits = model.run(items.map(({ item }) => item));
      for (const [i, { lane, item }] of items.entries()) lane.take(item, logits[i]);
      tokens += items.reduce((sum, { item }) => sum + item.ids.length, 0);
      if (performance.now() - turnedAt > TURN_EVERY_MS) {
        await turnEventLoop();
        turnedAt = performance.now();
      }
    }
  } finally {
    for (const lane of lanes) lane.release();
  }
}

/** A request while it is computed. */
interface Job {
  readonly index: number;
  /** Context and continuation. */
  readonly ids: readonly number[];
  readonly contextTokens: number;
  readonly logprobs: number[];
  greedy: boolean;
}

function jobOf(model: TokenModel, { context, continuation }: ScoreRequest, index: number): Job {
  const ids = [...context, ...continuation];
  if (context.length === 0 || continuation.length === 0 || ids.length - 1 > model.maxTokens) {
    const got = `${context.length} and ${continuation.length} tokens`;
    const expected = `a context and a continuation that fit ${model.maxTokens} tokens`;
    throw new UsageError('eval', `request ${index} cannot be scored: expected ${expected}, got ${got}.`);
  }
  return { index, ids, contextTokens: context.length, logprobs: [], greedy: true };
}

/** By ids, a beginning before what goes on; of equal ids the longer context last. */
function byIds(a: Job, b: Job): number {
  const common = commonLength(a.ids, b.ids);
  if (common < a.ids.length && common < b.ids.length) return a.ids[common] - b.ids[common];
  return a.ids.length - b.ids.length || a.contextTokens - b.contextTokens || a.index - b.index;
}

/** `count` contiguous parts of about the same number of tokens to run; no cut between requests whose contexts are the same. */
function stretches(sorted: readonly Job[], count: number): Job[][] {
  const costs = sorted.map(({ ids }, i) => ids.length - (i === 0 ? 0 : commonLength(sorted[i - 1].ids, ids)));
  const target = costs.reduce((a, b) => a + b, 0) / count;
  const parts: Job[][] = [];
  let cost = Infinity;
  for (const [i, job] of sorted.entries()) {
    const sharesContext = i > 0 && commonLength(sorted[i - 1].ids, job.ids) >= job.contextTokens;
    if (cost >= target && !sharesContext && parts.length < count) {
      parts.push([]);
      cost = 0;
    }
    parts[parts.length - 1].push(job);
    cost += costs[i];
  }
  return parts;
}

interface Planned {
  readonly lane: Lane;
  readonly item: BatchItem;
}

/** One item of each lane; what a lane leaves of its share goes to those after it. */
function plan(lanes: readonly Lane[], maxBatchTokens: number): Planned[] {
  let left = maxBatchTokens;
  return lanes.map((lane, i) => {
    const item = lane.next(Math.floor(left / (lanes.length - i)));
    left -= item.ids.length;
    return { lane, item };
  });
}

/** One sequence on its way along a stretch of sorted jobs. */
class Lane {
  readonly #model: TokenModel;
  readonly #jobs: readonly Job[];
  /** Of each job with the one before it: ids in common. */
  readonly #common: readonly number[];
  readonly #options: SequenceOptions;
  readonly #onScored: ScoreOptions['onScored'];
  #sequence: TokenSequence | null = null;
  /** The job that runs, -1 before the first. */
  #at = -1;
  /** The place of its ids that runs next; the last id is only looked for, never run. */
  #place = 0;
  /** The first place whose logits somebody wants. */
  #firstWanted = 0;

  constructor(model: TokenModel, jobs: readonly Job[], options: SequenceOptions, onScored: ScoreOptions['onScored']) {
    this.#model = model;
    this.#jobs = jobs;
    this.#common = jobs.map(({ ids }, i) => (i === 0 ? 0 : commonLength(jobs[i - 1].ids, ids)));
    this.#options = options;
    this.#onScored = onScored;
  }

  /** Goes on to a job that has something to run, if the present one is through; false, and the sequence released, where there is none. */
  advance(): boolean {
    while (this.#at < 0 || this.#place === this.#end) {
      if (this.#at >= 0) {
        const { index, logprobs, greedy } = this.#jobs[this.#at];
        this.#onScored(index, { logprobs, greedy });
      }
      this.#at++;
      if (this.#at === this.#jobs.length) {
        this.release();
        return false;
      }
      this.#begin();
    }
    return true;
  }

  /** What to run next: at most `tokens`, first up to the first place that is wanted, then the rest. */
  next(tokens: number): BatchItem {
    const { ids } = this.#jobs[this.#at];
    const isContext = this.#place < this.#firstWanted;
    const end = Math.min(isContext ? this.#firstWanted + 1 : this.#end, this.#place + tokens);
    const logits = !isContext ? 'all' : end > this.#firstWanted ? 'last' : 'none';
    return { sequence: this.#sequence as TokenSequence, ids: ids.slice(this.#place, end), logits };
  }

  /** Reads the logits of an item that has run. */
  take(item: BatchItem, logits: Float32Array): void {
    this.#place += item.ids.length;
    const { vocabSize } = this.#model;
    const rows = logits.length / vocabSize;
    for (let row = 0; row < rows; row++) {
      this.#read(this.#place - rows + row, logits.subarray(row * vocabSize, (row + 1) * vocabSize));
    }
  }

  release(): void {
    this.#sequence?.release();
    this.#sequence = null;
  }

  get #end(): number {
    return this.#jobs[this.#at].ids.length - 1;
  }

  /** Behind what this job has in common with the one before it, whose last id has not run. */
  #begin(): void {
    const at = this.#at;
    const start = at === 0 ? 0 : Math.min(this.#common[at], this.#jobs[at - 1].ids.length - 1);
    if (start >= this.#end) {
      this.#place = this.#end; // all was read beside the jobs before
      return;
    }
    this.#sequence = this.#sequenceAt(start);
    this.#place = this.#sequence.length;
    let first = Infinity;
    for (const { job, shared } of this.#sharing(start)) {
      if (job.contextTokens <= shared) first = Math.min(first, job.contextTokens - 1);
    }
    this.#firstWanted = Math.max(start, first);
  }

  /** The sequence with its first `length` tokens, or a new one where a sliding window has dropped what would be needed. */
  #sequenceAt(length: number): TokenSequence {
    const sequence = this.#sequence ?? this.#model.createSequence(this.#options);
    if (sequence.length === length) return sequence;
    try {
      sequence.truncate(length);
      return sequence;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.release();
      return this.#model.createSequence(this.#options);
    }
  }

  /** Adds what follows `place` to every job that has the same ids up to it. */
  #read(place: number, row: Float32Array): void {
    const { logSum, best } = normalizerOf(row);
    for (const { job } of this.#sharing(place)) {
      if (place < job.contextTokens - 1 || place >= job.ids.length - 1) continue;
      const id = job.ids[place + 1];
      job.logprobs.push(row[id] - logSum);
      if (id !== best) job.greedy = false;
    }
  }

  /** The present job and those after it that have its ids up to `place`, that one included. */
  *#sharing(place: number): Generator<{ job: Job; shared: number }> {
    let shared = this.#jobs[this.#at].ids.length;
    for (let at = this.#at; at < this.#jobs.length; at++) {
      if (at > this.#at) shared = Math.min(shared, this.#common[at]);
      if (shared <= place) return;
      yield { job: this.#jobs[at], shared };
    }
  }
}
