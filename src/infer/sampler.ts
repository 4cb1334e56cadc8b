/**
 * Sampler: picks the next token from logits. Pure but for its random numbers: logits in, id out.
 *
 * The order is fixed, and every step sees what the ones before it left (as in Hugging Face's generate):
 *   1. repetition penalty  on the logits of tokens already in the sequence (CTRL, arXiv 1909.05858)
 *   2. temperature         logits / temperature; 0 ends here with the largest logit
 *   3. top-k               the topK most probable tokens
 *   4. top-p               the fewest most probable tokens that hold topP of what top-k left (arXiv 1904.09751)
 *   5. min-p               tokens at least minP times as probable as the most probable (arXiv 2407.01082)
 *   6. draw
 * Tokens rank by probability, ties by the lower id. A token of logit -Infinity is never chosen, one of +Infinity
 * always; NaN is an error, since a NaN means that the model broke and any choice would hide it.
 */

import { QSparseError, UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';

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
  /** Default 0. */
  seed?: number;
}

export type Logits = Float32Array | Float64Array;

export class Sampler {
  readonly #options: Required<SamplerOptions>;
  readonly #prng: Prng;

  /** Throws UsageError for a value out of range. */
  constructor(options: SamplerOptions = {}) {
    this.#options = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0, ...options };
    check(this.#options);
    this.#prng = new Prng(this.#options.seed);
  }

  /** The next id; `seen` are the ids of the sequence so far. Draws one random number, none at temperature 0. */
  sample(logits: Logits, seen: Iterable<number> = []): number {
    const { temperature } = this.#options;
    const scores = this.#penalise(logits, seen);
    const best = argmax(scores);
    if (temperature === 0 || scores[best] === Infinity) return best;
    const weights = scores.map((score) => Math.exp((score - scores[best]) / temperature)); // the best has weight 1
    return draw(this.#candidates(weights), weights, this.#prng.next());
  }

  /** The ids that steps 3 to 5 leave. */
  #candidates(weights: Float64Array): number[] {
    const { topK, topP, minP } = this.#options;
    const total = massOf(weights.keys(), weights);
    let ids: number[];
    if (topK > 0) {
      ids = front(weights, (count) => count >= topK).slice(0, topK);
      ids = topP < 1 ? smallestSet(ids, weights, topP * massOf(ids, weights)) : ids;
    } else if (topP < 1) {
      ids = smallestSet(
        front(weights, (_, mass) => mass >= topP * total),
        weights,
        topP * total,
      );
    } else {
      ids = idsFrom(weights, 0);
    }
    return minP > 0 ? ids.filter((id) => weights[id] >= minP) : ids;
  }

  #penalise(logits: Logits, seen: Iterable<number>): Float64Array {
    const { repetitionPenalty } = this.#options;
    const scores = Float64Array.from(logits);
    if (repetitionPenalty === 1) return scores;
    for (const id of new Set(seen)) {
      const score = scores[id];
      scores[id] = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
    }
    return scores;
  }
}

/** The id of the largest score, the lowest of equals. Throws QSparseError for NaN or where all are -Infinity. */
export function argmax(scores: Logits): number {
  let best = 0;
  for (let id = 0; id < scores.length; id++) {
    if (scores[id] > scores[best]) best = id;
    if (Number.isNaN(scores[id])) {
      throw new QSparseError('sampler', `the logit of token ${id} is NaN. The checkpoint or a kernel is broken.`);
    }
  }
  if (scores[best] === -Infinity) {
    throw new QSparseError('sampler', 'every logit is -Infinity. The checkpoint or a kernel is broken.');
  }
  return best;
}

/** Ids of positive weight that is at least `threshold`, ascending. */
function idsFrom(weights: Float64Array, threshold: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < weights.length; id++) if (weights[id] >= threshold && weights[id] > 0) ids.push(id);
  return ids;
}

/**
 * The most probable tokens in their order, at least as many as `enough` asks for, or all. Sorting a whole vocabulary
 * would cost more than a small model's forward pass: sort what lies above a threshold, lowered until that is enough.
 */
function front(weights: Float64Array, enough: (count: number, mass: number) => boolean): number[] {
  let threshold = 1e-2;
  let ids = idsFrom(weights, threshold);
  while (threshold > 0 && !enough(ids.length, massOf(ids, weights))) {
    threshold = threshold > 1e-10 ? threshold * 1e-3 : 0;
    ids = idsFrom(weights, threshold);
  }
  return ids.sort((a, b) => weights[b] - weights[a] || a - b);
}

/** The shortest beginning of `ids` whose weights reach `mass`; the token that crosses it belongs to the set. */
function smallestSet(ids: number[], weights: Float64Array, mass: number): number[] {
  let sum = 0;
  for (let count = 0; count < ids.length; count++) {
    sum += weights[ids[count]];
    if (sum >= mass) return ids.slice(0, count + 1);
  }
  return ids;
}

function massOf(ids: Iterable<number>, weights: Float64Array): number {
  let mass = 0;
  for (const id of ids) mass += weights[id];
  return mass;
}

/** One of `ids` with probability proportional to its weight, for a uniform number in [0, 1). */
function draw(ids: readonly number[], weights: Float64Array, uniform: number): number {
  let left = uniform * massOf(ids, weights);
  for (const id of ids) {
    left -= weights[id];
    if (left < 0) return id;
  }
  return ids[ids.length - 1]; // rounding of the sums only
}

function check(options: Required<SamplerOptions>): void {
  const { temperature, topK, topP, minP, repetitionPenalty } = options;
  const rules: [name: string, holds: boolean, rule: string, got: number][] = [
    ['temperature', temperature >= 0 && temperature < Infinity, 'a number of at least 0', temperature],
    ['topK', Number.isInteger(topK) && topK >= 0, 'a whole number of at least 0 (0: off)', topK],
    ['topP', topP > 0 && topP <= 1, 'in (0, 1] (1: off)', topP],
    ['minP', minP >= 0 && minP <= 1, 'in [0, 1] (0: off)', minP],
    ['repetitionPenalty', repetitionPenalty > 0 && repetitionPenalty < Infinity, 'above 0 (1: off)', repetitionPenalty],
  ];
  for (const [name, holds, rule, got] of rules) {
    if (!holds) throw new UsageError('sampler', `${name} must be ${rule}, got ${got}.`);
  }
}
