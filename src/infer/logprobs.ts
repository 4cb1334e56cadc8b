/**
 * Log-probabilities of a token as the model gave them: the log-softmax of its logits, before any penalty, temperature or filter of
 * the sampler.
 */

import { fastExp } from '../util/fast-exp.ts';
import type { Logits } from './sampler.ts';
import { selectFront } from './select-front.ts';
import { vocabularyScratch } from './vocabulary-scratch.ts';

export interface TokenLogprob {
  id: number;
  /** Natural logarithm. */
  logprob: number;
}

export interface TokenLogprobs {
  /** Of the token that was chosen. */
  logprob: number;
  /** The most probable tokens, best first, ties by the lower id. */
  top: TokenLogprob[];
}

/** Below e^-700 a term adds nothing to a sum of at least 1, and fastExp ends. */
const SMALLEST_EXPONENT = -700;

/** Of `chosen` and of the `top` most probable tokens (all, where the vocabulary has no more), in f64. Logits are not NaN. */
export function logprobsOf(logits: Logits, chosen: number, top: number): TokenLogprobs {
  const vocabSize = logits.length;
  const { scores, ids } = vocabularyScratch(vocabSize);
  scores.set(logits);
  let largest = -Infinity;
  for (let id = 0; id < vocabSize; id++) if (scores[id] > largest) largest = scores[id];
  let sum = 0;
  for (let id = 0; id < vocabSize; id++) {
    const exponent = scores[id] - largest;
    if (exponent > SMALLEST_EXPONENT) sum += fastExp(exponent);
    ids[id] = id;
  }
  const shift = largest + Math.log(sum);
  const count = top > 0 ? selectFront(ids, vocabSize, scores, top, 'count') : 0;
  const best = [...ids.subarray(0, count)].sort((a, b) => scores[b] - scores[a] || a - b);
  return { logprob: scores[chosen] - shift, top: best.map((id) => ({ id, logprob: scores[id] - shift })) };
}
