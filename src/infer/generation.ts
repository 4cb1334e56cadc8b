/**
 * Generation: one request in progress: its ids, its sequence in the model, what it runs next and what it takes from the logits.
 *
 * It runs nothing itself. Whoever drives it (generate-tokens.ts one, scheduler.ts many) asks for the next item of a batch, runs it, and
 * gives it the logits. What holds between two runs: the sequence has the first `sequence.length` of `ids`, and at least one id is
 * still to run, the last one sampled or the rest of the prompt.
 *
 * Drafts (speculation.ts) are verified by sampling: each row of the logits is sampled as it would be without drafts, and the rest of
 * the draft is dropped at the first id that is not the sampled one. For drafts that are not random this IS the rule of speculative
 * sampling (arXiv 2211.17192: accept t with probability p(t), else draw from p without t): p draws t with probability p(t), and any
 * other id with its probability under p. And it uses one random number per id, so that the same seed gives the same ids with drafts
 * and without.
 */

import type { SparsityOverride } from '../model/sparsity-override.ts';
import { UsageError } from '../util/errors.ts';
import { logprobsOf, type TokenLogprobs } from './logprobs.ts';
import type { Sampler } from './sampler.ts';
import { DraftHistory } from './speculation.ts';
import type { BatchItem, TokenModel, TokenSequence } from './token-model.ts';

export interface GenerationOptions {
  /** For this request alone: it holds the state of one sequence. */
  sampler: Sampler;
  /** Most tokens to generate; default: until the context is full. */
  maxTokens?: number;
  /** Tokens that end the text; they are not yielded. */
  stopIds?: readonly number[];
  /** Ends the generation; what was generated until then is yielded. */
  signal?: AbortSignal;
  /** With each token its log-probability and this many of the most probable tokens. Default: none. */
  logprobs?: number;
  /** The same of the tokens of the prompt, the first excepted. Default: none. The whole prompt runs, and in short pieces. */
  promptLogprobs?: number;
  /** With each token its time and, where the model counts, how much of the model it took. Default false. */
  details?: boolean;
  /** Replaces the model's sparsity. */
  sparsity?: SparsityOverride;
}

/** Why it ended: a stop token or string, maxTokens, a full context, or the signal or the consumer. */
export type FinishReason = 'stop' | 'length' | 'context' | 'aborted';

export interface GeneratedToken {
  readonly id: number;
  /** As the model gave them, before the sampler's penalties and filters; where they were asked for. */
  readonly logprobs?: TokenLogprobs;
  /** Where details were asked for: when it was made, in ms of `performance.now()`, and by layer the share of the weights that made it. */
  readonly madeAt?: number;
  readonly kept?: readonly number[];
}

/** Rows of logits of one run of a prompt whose log-probabilities are wanted: a vocabulary each, so that few suffice. */
const PROMPT_LOGITS_ROWS = 32;

export class Generation {
  readonly sequence: TokenSequence;
  /** The prompt, then what was generated. */
  readonly ids: number[];
  readonly promptTokens: number;
  readonly drafts = new DraftHistory();
  /** Of prompt tokens 1, 2, …, as far as they have run; where they were asked for. */
  readonly promptLogprobs: TokenLogprobs[] = [];
  finishReason: FinishReason | null;
  /** The stop token that ended the text, which is no part of it, with its log-probabilities; null where none did or they were not asked for. */
  endToken: GeneratedToken | null = null;
  readonly #options: GenerationOptions;
  readonly #maxTokens: number;
  readonly #contextTokens: number;

  /** `sequence` holds nothing or a beginning of the prompt, not all of it. The request has passed `checkRequest`. */
  constructor(
    sequence: TokenSequence,
    promptIds: readonly number[],
    options: GenerationOptions,
    contextTokens: number,
  ) {
    this.sequence = sequence;
    this.ids = [...promptIds];
    this.promptTokens = promptIds.length;
    this.#options = options;
    this.#maxTokens = options.maxTokens ?? Infinity;
    this.#contextTokens = contextTokens;
    // Nothing would be left to run, unless the prompt itself is asked about.
    this.finishReason = this.#maxTokens === 0 && options.promptLogprobs === undefined ? 'length' : null;
    options.sampler.begin(promptIds);
  }

  /** Ids that the sequence does not have yet. More than one: the prompt is not through. */
  get pending(): number {
    return this.ids.length - this.sequence.length;
  }

  /** Most ids of a draft that could be used: by the context, and by the tokens that are still wanted. */
  get draftRoom(): number {
    const wanted = this.#maxTokens - (this.ids.length - this.promptTokens);
    return Math.max(0, Math.min(this.#contextTokens - this.ids.length, wanted - 1));
  }

  /** What to run next: at most `tokens` (at least 1) of the pending ids, or with a draft the one pending id and the draft. */
  next(tokens: number, draft: readonly number[] = []): BatchItem {
    const { sequence } = this;
    if (this.#wantsPrompt) {
      const most = Math.min(tokens, PROMPT_LOGITS_ROWS);
      return { sequence, ids: this.ids.slice(sequence.length, sequence.length + most), logits: 'all' };
    }
    const ids = this.ids.slice(sequence.length, sequence.length + tokens);
    if (draft.length > 0) return { sequence, ids: [...ids, ...draft], logits: 'all' };
    return { sequence, ids, logits: ids.length === this.pending ? 'last' : 'none' };
  }

  /**
   * Takes the logits of `item`, which has run; returns the tokens that they give. `keptOf` says how much of the model a token of it took. Throws
   * what the sampler throws.
   */
  advance(item: BatchItem, logits: Float32Array, keptOf?: (token: number) => number[]): GeneratedToken[] {
    if (item.logits === 'none') return [];
    const first = this.sequence.length - item.ids.length;
    if (first < this.promptTokens - 1 && item.logits === 'all') return this.#advancePrompt(item, first, logits, keptOf);
    if (this.#maxTokens === 0) {
      this.finishReason = 'length';
      return [];
    }
    const draft = item.logits === 'all' ? item.ids.slice(1) : [];
    const confirmed = this.sequence.length - draft.length;
    const vocabSize = logits.length / (draft.length + 1);
    const tokens: GeneratedToken[] = [];
    let accepted = 0;
    for (let row = 0; row <= draft.length && this.finishReason === null; row++) {
      const ran = item.ids.length - draft.length - 1 + row;
      const token = this.#take(logits.subarray(row * vocabSize, (row + 1) * vocabSize), ran, keptOf);
      if (token === null) break;
      tokens.push(token);
      if (token.id !== draft[row]) break;
      accepted++;
    }
    if (draft.length > 0) this.drafts.settle(draft.length, accepted);
    if (accepted < draft.length) this.sequence.truncate(confirmed + accepted);
    return tokens;
  }

  /** Does the next run begin with tokens of the prompt that give log-probabilities of others? */
  get #wantsPrompt(): boolean {
    return this.#options.promptLogprobs !== undefined && this.sequence.length < this.promptTokens - 1;
  }

  /** Takes the logits of every token of `item`, which begins at `first` in the prompt; behind the last of the prompt comes a token. */
  #advancePrompt(
    { ids, sequence }: BatchItem,
    first: number,
    logits: Float32Array,
    keptOf?: (token: number) => number[],
  ): GeneratedToken[] {
    const vocabSize = logits.length / ids.length;
    const row = (position: number) =>
      logits.subarray((position - first) * vocabSize, (position - first + 1) * vocabSize);
    const last = Math.min(first + ids.length, this.promptTokens - 1);
    for (let position = first; position < last; position++) {
      this.promptLogprobs.push(logprobsOf(row(position), this.ids[position + 1], this.#options.promptLogprobs ?? 0));
    }
    if (sequence.length < this.promptTokens) return [];
    if (this.#maxTokens === 0) {
      this.finishReason = 'length';
      return [];
    }
    const token = this.#take(row(this.promptTokens - 1), ids.length - 1, keptOf);
    return token === null ? [] : [token];
  }

  /** Samples the token behind token `ran` of the run and appends it; null where it ends the text. */
  #take(logits: Float32Array, ran: number, keptOf?: (token: number) => number[]): GeneratedToken | null {
    const { sampler, stopIds = [], logprobs, details } = this.#options;
    const id = sampler.sample(logits);
    if (stopIds.includes(id)) {
      if (logprobs !== undefined) this.endToken = { id, logprobs: logprobsOf(logits, id, logprobs) };
      this.finishReason = 'stop';
      return null;
    }
    this.ids.push(id);
    if (this.ids.length - this.promptTokens === this.#maxTokens) this.finishReason = 'length';
    // The last token needs no place, because nothing follows it.
    else if (this.ids.length > this.#contextTokens) this.finishReason = 'context';
    return {
      id,
      ...(logprobs !== undefined && { logprobs: logprobsOf(logits, id, logprobs) }),
      ...(details && { madeAt: performance.now() }),
      ...(details && keptOf && { kept: keptOf(ran) }),
    };
  }
}

/** Throws UsageError for a request that cannot be served: no prompt, one that is too long, ids or numbers out of range. */
export function checkRequest(
  model: Pick<TokenModel, 'maxTokens' | 'vocabSize'>,
  promptIds: readonly number[],
  { maxTokens = 0, logprobs = 0, promptLogprobs = 0 }: GenerationOptions,
): void {
  if (promptIds.length === 0) {
    throw new UsageError('generate', 'the prompt is empty: expected at least 1 token, got 0. Give a prompt.');
  }
  if (promptIds.length > model.maxTokens) {
    throw new UsageError(
      'generate',
      `the prompt is too long: expected at most ${model.maxTokens} tokens (the context), got ${promptIds.length}. ` +
        'Shorten it.',
    );
  }
  for (const id of promptIds) {
    if (Number.isInteger(id) && id >= 0 && id < model.vocabSize) continue;
    throw new UsageError(
      'generate',
      `token id ${id} is outside the vocabulary: expected 0 .. ${model.vocabSize - 1}. ` +
        'Does the tokenizer belong to this model?',
    );
  }
  if (maxTokens !== Infinity && !(Number.isInteger(maxTokens) && maxTokens >= 0)) {
    throw new UsageError('generate', `maxTokens must be a whole number of at least 0, got ${maxTokens}.`);
  }
  for (const [name, count] of Object.entries({ logprobs, promptLogprobs })) {
    if (Number.isInteger(count) && count >= 0) continue;
    throw new UsageError('generate', `${name} must be a whole number of at least 0, got ${count}.`);
  }
}
