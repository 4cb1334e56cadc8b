/**
 * Candidates: the tokens of a vocabulary, narrowed down step by step to those of which one is drawn.
 *
 * A run of a small model takes milliseconds and a vocabulary has 32,000 to 256,000 tokens: nothing is sorted, nothing is allocated, and
 * few steps look at all tokens. Scores are copied to f64 first, so that the loops see one type of array whatever the logits are.
 *
 * All samplers share one instance: sampling is synchronous, and its arrays per sequence would be megabytes. Its contents are undefined
 * before `load`.
 */

import { QSparseError } from '../util/errors.ts';
import { expAt } from '../util/exp-at.ts';
import { selectFront } from './select-front.ts';

/** Among fewer candidates than this the cut is looked for at once. */
const FEW = 512;

/**
 * Sizes of weights: the 64th parts between two powers of two, from 1 down to 2^-32; the last one has all that is smaller. The upper half
 * of an f64 has its exponent and the first 20 bits of its fraction, and orders positive numbers as they are.
 */
const SIZES = 2048;
const SIZE_SHIFT = 14;
const UPPER_HALF_OF_1 = 0x3ff0_0000;

export class Candidates {
  #scores = new Float64Array(0);
  /** The same memory; the upper half of a score is at 2 * id + 1, because memory is little-endian where this runs. */
  #halves = new Uint32Array(0);
  #ids = new Int32Array(0);
  #undecided = new Int32Array(0);
  #vocabSize = 0;
  #count = 0;
  /** Of the candidates' weights. */
  #mass = 0;
  readonly #massOfSize = new Float64Array(SIZES);

  /** Of all tokens of the vocabulary, by id; longer than that. To be adjusted before anything is taken. */
  get scores(): Float64Array {
    return this.#scores;
  }

  /** The candidates, in no defined order; valid until the next step. */
  get ids(): Int32Array {
    return this.#ids.subarray(0, this.#count);
  }

  /** Begins with these scores, and no candidates. */
  load(logits: Float32Array | Float64Array): void {
    if (this.#scores.length < logits.length) {
      this.#scores = new Float64Array(logits.length);
      this.#halves = new Uint32Array(this.#scores.buffer);
      this.#ids = new Int32Array(logits.length);
      this.#undecided = new Int32Array(logits.length);
    }
    this.#scores.set(logits);
    this.#vocabSize = logits.length;
    this.#count = 0;
  }

  /**
   * The id of the largest score, the lowest of equals. Throws QSparseError for NaN or where all are -Infinity. Eight comparisons to a
   * branch: a new maximum is rare, and NaN fails every comparison.
   */
  best(): number {
    const scores = this.#scores;
    const vocabSize = this.#vocabSize;
    let best = 0;
    let largest = -Infinity;
    for (let first = 0; first < vocabSize; first += 8) {
      const last = Math.min(first + 8, vocabSize);
      if (
        last === first + 8 &&
        scores[first] <= largest &&
        scores[first + 1] <= largest &&
        scores[first + 2] <= largest &&
        scores[first + 3] <= largest &&
        scores[first + 4] <= largest &&
        scores[first + 5] <= largest &&
        scores[first + 6] <= largest &&
        scores[first + 7] <= largest
      ) {
        continue;
      }
      for (let id = first; id < last; id++) {
        if (scores[id] > largest) {
          largest = scores[id];
          best = id;
        } else if (Number.isNaN(scores[id])) {
          throw new QSparseError('sampler', `the logit of token ${id} is NaN. The checkpoint or a kernel is broken.`);
        }
      }
    }
    if (largest > -Infinity) return best;
    const causes = 'The checkpoint is broken, or biases and constraints leave nothing.';
    throw new QSparseError('sampler', `no token can be chosen: every logit is -Infinity. ${causes}`);
  }

  /** All tokens whose score is at least `threshold`. */
  takeFrom(threshold: number): void {
    const scores = this.#scores;
    const ids = this.#ids;
    const vocabSize = this.#vocabSize;
    let count = 0;
    for (let id = 0; id < vocabSize; id++) if (scores[id] >= threshold) ids[count++] = id;
    this.#count = count;
  }

  /**
   * The `most` tokens of the largest scores of at least `threshold`, ties to the lower id. Whenever enough of them have
   * gathered, the best are kept and their worst is the next threshold, which hardly anything passes before long.
   */
  takeTop(most: number, threshold: number): void {
    const scores = this.#scores;
    const ids = this.#ids;
    const vocabSize = this.#vocabSize;
    const room = Math.min(vocabSize, 2 * most + 256);
    let least = threshold;
    let isTieIn = true; // at first; later ids lose a tie with what was kept
    let count = 0;
    for (let id = 0; id < vocabSize; id++) {
      const score = scores[id];
      if (!(score > least || (isTieIn && score === least))) continue;
      ids[count++] = id;
      if (count < room) continue;
      count = selectFront(ids, count, scores, most, 'count');
      least = Infinity;
      for (let i = 0; i < count; i++) least = Math.min(least, scores[ids[i]]);
      isTieIn = false;
    }
    this.#count = selectFront(ids, count, scores, most, 'count');
  }

  /**
   * Makes weights of the candidates' scores: probabilities at this temperature, in units of that of a score of `largest`, above which
   * there is none. Returns their sum.
   */
  weigh(largest: number, temperature: number): number {
    const factor = Math.min(1 / temperature, Number.MAX_VALUE); // Infinity would make NaN of the best
    this.#mass = expAt(this.#scores, this.#ids, this.#count, largest, factor);
    return this.#mass;
  }

  /**
   * Keeps the fewest candidates of the largest weights that hold this share of all, ties to the lower id. Candidates so light that even
   * as many of them as there are candidates weigh less than the rest of the share are out at once. Of many, sums by size say which
   * sizes are in as a whole and which are out, so that the cut is looked for among those of one size.
   */
  keepMass(share: number): void {
    const target = share * this.#mass;
    const lightest = (this.#mass - target) / this.#count;
    this.#compact(lightest * (1 - 1e-9)); // sums are rounded
    if (this.#count > FEW) {
      this.#keepMassBySize(target);
    } else {
      this.#count = selectFront(this.#ids, this.#count, this.#scores, target, 'mass');
      this.#mass = massOf(this.#ids, this.#count, this.#scores);
    }
  }

  #keepMassBySize(target: number): void {
    const masses = this.#sumSizes();
    let cut = 0;
    let mass = 0;
    while (cut < SIZES - 1 && mass + masses[cut] < target) mass += masses[cut++];
    const undecided = this.#splitAt(cut);
    const ids = this.#ids.subarray(this.#count);
    const count = selectFront(ids, undecided, this.#scores, target - mass, 'mass');
    this.#mass = mass + massOf(ids, count, this.#scores);
    this.#count += count;
  }

  #sumSizes(): Float64Array {
    const scores = this.#scores;
    const halves = this.#halves;
    const ids = this.#ids;
    const count = this.#count;
    const masses = this.#massOfSize.fill(0);
    for (let i = 0; i < count; i++) {
      const id = ids[i];
      masses[Math.min((UPPER_HALF_OF_1 - halves[2 * id + 1]) >> SIZE_SHIFT, SIZES - 1)] += scores[id];
    }
    return masses;
  }

  /**
   * Keeps the candidates whose size comes before `cut` and puts those of that size behind them; returns how many these are. The order
   * of ids stays: a later pass in another order would miss the cache.
   */
  #splitAt(cut: number): number {
    const halves = this.#halves;
    const ids = this.#ids;
    const undecided = this.#undecided;
    const count = this.#count;
    let before = 0;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const id = ids[i];
      const size = Math.min((UPPER_HALF_OF_1 - halves[2 * id + 1]) >> SIZE_SHIFT, SIZES - 1);
      if (size < cut) ids[before++] = id;
      else if (size === cut) undecided[at++] = id;
    }
    ids.set(undecided.subarray(0, at), before);
    this.#count = before;
    return at;
  }

  /** Keeps the candidates whose weight is at least this. */
  keepAtLeast(weight: number): void {
    this.#compact(weight);
    this.#mass = massOf(this.#ids, this.#count, this.#scores);
  }

  #compact(weight: number): void {
    const scores = this.#scores;
    const ids = this.#ids;
    const count = this.#count;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const id = ids[i];
      if (scores[id] >= weight) ids[kept++] = id;
    }
    this.#count = kept;
  }

  /** One candidate, with probability proportional to its weight, for a uniform number in [0, 1). */
  draw(uniform: number): number {
    const scores = this.#scores;
    const ids = this.#ids;
    const last = this.#count - 1;
    let left = uniform * this.#mass;
    for (let i = 0; i < last; i++) {
      left -= scores[ids[i]];
      if (left < 0) return ids[i];
    }
    return ids[last];
  }
}

function massOf(ids: Int32Array, count: number, weights: Float64Array): number {
  let mass = 0;
  for (let i = 0; i < count; i++) mass += weights[ids[i]];
  return mass;
}

/** The instance that all share. */
export const candidates: Candidates = new Candidates();
