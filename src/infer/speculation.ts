/**
 * Speculation: decides how many tokens to draft, so that verifying several at once pays, and keeps the account of it.
 *
 * A run of several tokens costs less than as many runs of one where the weights are the cost and all tokens read the same ones. With top-K
 * masks each token reads rows of its own, their union grows with every token, and little is left of that; so nothing is assumed, the
 * measured cost of a run decides, and where it does not pay the length is 0.
 *
 *   - The length is that with the most expected tokens per ms: 1 + a + a^2 + ... + a^n over costOf(1 + n), where `a` is how often a drafted
 *     id was right after a match of this length in this sequence. `a` counts one unseen success, and old counts fade: what was not
 *     tried for long looks good again and is tried again.
 *   - The account bounds what such trials may lose: a draft is made only if, should all of it be refused, all steps so far would
 *     still have taken no longer than plain decoding of the same tokens and the exploration share.
 *
 * Verification is in generation.ts; the drafts come from ngram-lookup.ts.
 */

import { UsageError } from '../util/errors.ts';
import { continuation, findNgram, MAX_MATCH } from './ngram-lookup.ts';

export interface SpeculationOptions {
  /** Time of one run of this many tokens with all of their logits, in ms: measured (`measureStepCost`). Asked once per number. */
  costOf: (tokens: number) => number;
  /** Longest draft. Default 8. */
  maxDraft?: number;
  /** What all refused drafts together may cost, as a share of the time of plain decoding. Default 0.02. */
  exploration?: number;
}

/** What of the counts remains after a step: half after 23. */
const FADING = 0.97;

/** What a draft must promise over none: costs are measured, and equal ones never quite are. */
const LEAST_GAIN = 1.02;

const NO_DRAFT: readonly number[] = [];

/** How the drafts of one sequence fared. */
export class DraftHistory {
  /** Ids drafted and ids accepted so far. */
  drafted = 0;
  accepted = 0;
  /** By length of the match: drafted ids that were compared, and those that were right. */
  readonly #compared = new Float64Array(MAX_MATCH + 1);
  readonly #right = new Float64Array(MAX_MATCH + 1);
  #match = 0;

  /** Probability that the next drafted id is right after a match of this length, if the ones before it were. */
  rightAfter(match: number): number {
    return (this.#right[match] + 1) / (this.#compared[match] + 1);
  }

  /** A step without or before a draft: what is known fades. */
  fade(): void {
    for (let match = 1; match <= MAX_MATCH; match++) {
      this.#compared[match] *= FADING;
      this.#right[match] *= FADING;
    }
  }

  /** A draft is made after a match of this length. */
  begin(match: number): void {
    this.#match = match;
  }

  /** What became of it: nothing is known of the ids behind the first wrong one. */
  settle(drafted: number, accepted: number): void {
    this.drafted += drafted;
    this.accepted += accepted;
    this.#compared[this.#match] += Math.min(accepted + 1, drafted);
    this.#right[this.#match] += accepted;
  }
}

/** For one model; the sequences that it serves share the account. */
export class Speculation {
  readonly #options: Required<SpeculationOptions>;
  readonly #costs: number[] = [];
  /** Of all steps: their cost, and what plain decoding of the same tokens costs. */
  #spentMs = 0;
  #plainMs = 0;
  /** The step being made: its tokens without drafts (one per sequence), drafted ids, and how many of them should be right. */
  #tokens = 1;
  #drafted = 0;
  #expected = 0;

  /** Throws UsageError for an option out of range. */
  constructor(options: SpeculationOptions) {
    this.#options = { maxDraft: 8, exploration: 0.02, ...options };
    const { maxDraft, exploration } = this.#options;
    if (!(Number.isInteger(maxDraft) && maxDraft >= 0)) {
      throw new UsageError('speculation', `maxDraft must be a whole number of at least 0, got ${maxDraft}.`);
    }
    if (!(exploration >= 0 && exploration < Infinity)) {
      throw new UsageError('speculation', `exploration must be a share of at least 0, got ${exploration}.`);
    }
  }

  /** By the costs: ms of all steps, and of plain decoding of the same tokens. */
  get account(): { spentMs: number; plainMs: number } {
    return { spentMs: this.#spentMs, plainMs: this.#plainMs };
  }

  /** A step in which each of `tokens` sequences decodes one token; then come `draft` for those that may have one, and `endStep`. */
  beginStep(tokens: number): void {
    this.#tokens = tokens;
    this.#drafted = 0;
    this.#expected = 0;
  }

  /** Ids to run behind the last of `ids`, at most `room`; none where it does not pay. Throws UsageError for a cost that is none. */
  draft(history: DraftHistory, ids: readonly number[], room: number): readonly number[] {
    history.fade();
    const longest = Math.min(room, this.#options.maxDraft);
    // Drafts that do not pay even if all of them are right need no search.
    if (this.#bestLength(1, longest) === 0) return NO_DRAFT;
    const match = findNgram(ids);
    if (match.length === 0) return NO_DRAFT;
    const right = history.rightAfter(match.length);
    const length = this.#bestLength(right, longest);
    if (length === 0) return NO_DRAFT;
    history.begin(match.length);
    this.#drafted += length;
    this.#expected += expectedOf(right, length);
    return continuation(ids, match.next, length);
  }

  /** The step has run; `accepted` drafted ids were right, all sequences together. */
  endStep(accepted: number): void {
    const plain = this.#costOf(this.#tokens);
    this.#spentMs += this.#costOf(this.#tokens + this.#drafted);
    this.#plainMs += (plain * (this.#tokens + accepted)) / this.#tokens;
  }

  /** The length 0 .. longest of one more draft with the most tokens per ms, of those that the account allows. */
  #bestLength(right: number, longest: number): number {
    const run = this.#tokens + this.#drafted;
    const tokens = this.#tokens + this.#expected;
    const allowedMs = (1 + this.#options.exploration) * (this.#plainMs + this.#costOf(this.#tokens)) - this.#spentMs;
    let best = 0;
    let bestRate = (LEAST_GAIN * tokens) / this.#costOf(run);
    for (let length = 1; length <= longest; length++) {
      const cost = this.#costOf(run + length);
      const rate = (tokens + expectedOf(right, length)) / cost;
      if (cost <= allowedMs && rate > bestRate) [best, bestRate] = [length, rate];
    }
    return best;
  }

  #costOf(tokens: number): number {
    this.#costs[tokens] ??= this.#options.costOf(tokens);
    const cost = this.#costs[tokens];
    if (cost > 0 && cost < Infinity) return cost;
    throw new UsageError('speculation', `costOf(${tokens}) must be a positive number of ms, got ${cost}.`);
  }
}

/** Ids of a draft that are right, where each is with probability `right` if the ones before it are. */
function expectedOf(right: number, length: number): number {
  let expected = 0;
  let probability = 1;
  for (let i = 0; i < length; i++) {
    probability *= right;
    expected += probability;
  }
  return expected;
}
