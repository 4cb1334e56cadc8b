/**
 * Log-probabilities of a token as the model gave them: the log-softmax of its logits, before any penalty, temperature or filter of
 * the sampler.
 */

import { candidates } from './candidates.ts';
import type { Logits } from './sampler.ts';

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

/** Of `chosen` and of the `top` most probable tokens (all, where the vocabulary has no more), in f64. Throws QSparseError for NaN. */
export function logprobsOf(logits: Logits, chosen: number, top: number): TokenLogprobs {
  candidates.load(logits);
  const { scores } = candidates;
  const largest = scores[candidates.best()];
  candidates.takeTop(top, -Infinity);
  const ids = [...candidates.ids].sort((a, b) => scores[b] - scores[a] || a - b);
  const unshifted = [chosen, ...ids].map((id) => scores[id]);
  candidates.takeFrom(-Infinity);
  const shift = largest + Math.log(candidates.weigh(largest, 1));
  const [logprob, ...others] = unshifted.map((logit) => logit - shift);
  return { logprob, top: ids.map((id, rank) => ({ id, logprob: others[rank] })) };
}
