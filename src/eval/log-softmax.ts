/** Log-probabilities of one row of logits: what is subtracted from a logit, and the most probable id. In f64, over the whole vocabulary. */

import { QSparseError } from '../util/errors.ts';
import { expAt } from '../util/exp-at.ts';

export interface Normalizer {
  /** The log of the sum of exponentials: logit - it is the log-probability. */
  readonly logSum: number;
  /** The id of the largest logit, the lower of equals. */
  readonly best: number;
}

let scores = new Float64Array(0);
let everyId = new Int32Array(0);

/** Throws QSparseError for NaN and where no logit is finite. */
export function normalizerOf(logits: Float32Array): Normalizer {
  if (scores.length < logits.length) {
    scores = new Float64Array(logits.length);
    everyId = Int32Array.from({ length: logits.length }, (_, id) => id);
  }
  let best = 0;
  let hasNaN = false;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    if (logit > logits[best]) best = id;
    if (Number.isNaN(logit)) hasNaN = true;
    scores[id] = logit;
  }
  const largest = logits[best];
  if (hasNaN || !Number.isFinite(largest)) {
    throw new QSparseError(
      'eval',
      `the model gave logits that are no numbers (largest ${largest}). Check its weights.`,
    );
  }
  return { logSum: largest + Math.log(expAt(scores, everyId, logits.length, largest, 1)), best };
}
