/**
 * Sampler: picks the next token of one sequence from logits. Ids and logits in, id out; it knows no model and no text.
 *
 * The order is fixed, and every step sees what the ones before it left (1, 5 - 8 as in Hugging Face's generate):
 *   1. repetition penalty   on the logits of tokens that occurred, in the prompt too (CTRL, arXiv 1909.05858)
 *   2. presence, frequency  logit - presence - frequency * count, for tokens generated `count` > 0 times (OpenAI's API)
 *   3. logit bias           added
 *   4. allowed              what the callback leaves out cannot be chosen
 *   5. temperature          logits / temperature; 0 ends here with the largest logit
 *   6. top-k                the topK most probable tokens
 *   7. top-p                the fewest most probable tokens that hold topP of what top-k left (arXiv 1904.09751)
 *   8. min-p                tokens at least minP times as probable as the most probable (arXiv 2407.01082)
 *   9. draw
 * Tokens rank by probability, ties by the lower id. A token of logit -Infinity is never chosen, one of +Infinity
 * always; NaN is an error, since a NaN means that the model broke and any choice would hide it.
 */

import { UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { candidates } from './candidates.ts';

/**
 * Which tokens may come next, given the ids generated so far: bit `id % 32` of word `floor(id / 32)` is 1 where `id` may; null
 * allows all. Called once per token, before the token is chosen. The array stays the callee's and is not changed.
 */
export type AllowedTokens = (generated: readonly number[]) => Uint32Array | null;

export interface SamplerOptions {
  /** 0: always the most probable token. Default 1. */
  temperature?: number;
  /** Keep this many tokens; 0: all. Default 0. */
  topK?: number;
  /** In (0, 1]; 1: all. Default 1. */
  topP?: number;
  /** In [0, 1]; 0: all. Default 0. */
  minP?: number;
  /** Above 1 discourages, below 1 encourages tokens that occurred; 1: none. Default 1. */
  repetitionPenalty?: number;
  /** Taken from the logit of a token that was generated. Default 0. */
  presencePenalty?: number;
  /** Taken from the logit of a token as often as it was generated. Default 0. */
  frequencyPenalty?: number;
  /** Added to the logits of these ids; -Infinity forbids one. */
  logitBias?: ReadonlyMap<number, number>;
  /** Constrains every token. Default: all are allowed. */
  allowed?: AllowedTokens;
  /** Default 0. */
  seed?: number;
}

export type Logits = Float32Array | Float64Array;

type Numbers = Required<Omit<SamplerOptions, 'logitBias' | 'allowed'>>;

const DEFAULTS: Numbers = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 0,
};

export class Sampler {
  readonly #options: Numbers;
  readonly #bias: ReadonlyMap<number, number>;
  readonly #allowed: AllowedTokens | undefined;
  readonly #prng: Prng;
  /** Ids that occurred, and how often each was generated. */
  readonly #seen = new Set<number>();
  readonly #counts = new Map<number, number>();
  #generated: number[] = [];

  /** Throws UsageError for a value out of range. */
  constructor(options: SamplerOptions = {}) {
    const { logitBias = new Map(), allowed, ...numbers } = options;
    this.#options = { ...DEFAULTS, ...numbers };
    this.#bias = new Map(logitBias);
    this.#allowed = allowed;
    checkOptions(this.#options, this.#bias);
    this.#prng = new Prng(this.#options.seed);
  }

  /** Begins another sequence: the ids of the last one are forgotten, the random numbers go on. */
  begin(promptIds: Iterable<number>): void {
    this.#seen.clear();
    this.#counts.clear();
    this.#generated = [];
    for (const id of promptIds) this.#seen.add(id);
  }

  /**
   * The id that follows in the sequence; what it returns counts as generated. `logits` [V] stay as they are. Draws one random
   * number, none at temperature 0. Throws QSparseError for NaN or where no token can be chosen.
   */
  sample(logits: Logits): number {
    // The callback may sample elsewhere; so it is asked before the shared memory is filled.
    const allowed = this.#allowed?.(this.#generated) ?? null;
    candidates.load(logits);
    this.#adjust(candidates.scores, logits.length, allowed);
    const best = candidates.best();
    const largest = candidates.scores[best];
    const greedy = this.#options.temperature === 0 || largest === Infinity;
    const id = greedy ? best : this.#draw(largest, logits.length);
    this.#seen.add(id);
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    this.#generated.push(id);
    return id;
  }

  /** Steps 1 to 4, in place. */
  #adjust(scores: Float64Array, vocabSize: number, allowed: Uint32Array | null): void {
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = this.#options;
    if (repetitionPenalty !== 1) {
      for (const id of this.#seen) {
        scores[id] = scores[id] > 0 ? scores[id] / repetitionPenalty : scores[id] * repetitionPenalty;
      }
    }
    if (presencePenalty !== 0 || frequencyPenalty !== 0) {
      for (const [id, count] of this.#counts) scores[id] -= presencePenalty + frequencyPenalty * count;
    }
    for (const [id, bias] of this.#bias) {
      if (id >= vocabSize) {
        throw new UsageError('sampler', `logitBias names token ${id}: expected an id below ${vocabSize}.`);
      }
      scores[id] += bias;
    }
    if (allowed) forbidOthers(scores, vocabSize, allowed);
  }

  /** Steps 5 to 9. */
  #draw(largest: number, vocabSize: number): number {
    const { temperature, topK, topP, minP } = this.#options;
    // All tokens below this log-probability together weigh less than the resolution of the random number, 2^-53.
    let lowest = -53 * Math.LN2 - Math.log(vocabSize);
    // The shares of top-p count what min-p would drop. A little lower than minP, which is compared with the weights.
    if (topP === 1) lowest = Math.max(lowest, Math.log(minP) - 1e-6);
    // -Infinity stays out at any temperature.
    const threshold = Math.max(largest + temperature * lowest, -Number.MAX_VALUE);
    if (topK > 0) candidates.takeTop(topK, threshold);
    else candidates.takeFrom(threshold);
    candidates.weigh(largest, temperature);
    if (topP < 1) candidates.keepMass(topP);
    if (minP > 0) candidates.keepAtLeast(minP);
    return candidates.draw(this.#prng.next());
  }
}

/** The id of the largest score, the lowest of equals. Throws QSparseError for NaN or where all are -Infinity. */
export function argmax(scores: Logits): number {
  candidates.load(scores);
  return candidates.best();
}

function forbidOthers(scores: Float64Array, vocabSize: number, allowed: Uint32Array): void {
  if (allowed.length * 32 < vocabSize) {
    throw new UsageError(
      'sampler',
      `allowed tokens: expected at least ${Math.ceil(vocabSize / 32)} words of 32 bits, got ${allowed.length}.`,
    );
  }
  for (let first = 0; first < vocabSize; first += 32) {
    const word = allowed[first >> 5];
    if (word === 0xffff_ffff) continue;
    const last = Math.min(first + 32, vocabSize);
    if (word === 0) scores.fill(-Infinity, first, last);
    else for (let id = first; id < last; id++) if (((word >>> (id - first)) & 1) === 0) scores[id] = -Infinity;
  }
}

function checkOptions(options: Numbers, logitBias: ReadonlyMap<number, number>): void {
  const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed } = options;
  const rules: [name: string, holds: boolean, rule: string, got: number][] = [
    ['temperature', temperature >= 0 && temperature < Infinity, 'a number of at least 0', temperature],
    ['topK', Number.isInteger(topK) && topK >= 0, 'a whole number of at least 0 (0: off)', topK],
    ['topP', topP > 0 && topP <= 1, 'in (0, 1] (1: off)', topP],
    ['minP', minP >= 0 && minP <= 1, 'in [0, 1] (0: off)', minP],
    ['repetitionPenalty', repetitionPenalty > 0 && repetitionPenalty < Infinity, 'above 0 (1: off)', repetitionPenalty],
    ['presencePenalty', Number.isFinite(presencePenalty), 'a finite number (0: off)', presencePenalty],
    ['frequencyPenalty', Number.isFinite(frequencyPenalty), 'a finite number (0: off)', frequencyPenalty],
    ['seed', Number.isInteger(seed), 'a whole number', seed],
  ];
  for (const [id, bias] of logitBias) {
    rules.push(['an id of logitBias', Number.isInteger(id) && id >= 0, 'a whole number of at least 0', id]);
    rules.push([`logitBias of token ${id}`, bias < Infinity, 'a number below Infinity', bias]);
  }
  for (const [name, holds, rule, got] of rules) {
    if (!holds) throw new UsageError('sampler', `${name} must be ${rule}, got ${got}.`);
  }
}
