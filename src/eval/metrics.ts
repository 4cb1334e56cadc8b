/**
 * Metrics as lm-evaluation-harness 0.4.13 computes them (`process_results` in lm_eval/api/task.py, `mean_stderr` in lm_eval/api/metrics.py).
 *
 * acc: the choice with the largest log-likelihood is right, the first of equals. acc_norm: with the log-likelihood divided by the
 * characters (code points) of the choice, without the delimiter before it; acc_bytes: by its UTF-8 bytes. mc2: the share of the true
 * choices in the probability of all. The error is that of a mean: s / sqrt(n), s with n - 1.
 */

import type { ChoiceMetric } from './task.ts';
import type { ChoiceItem } from './task-items.ts';

export interface Mean {
  readonly value: number;
  /** Standard error; null for fewer than two items. */
  readonly stderr: number | null;
}

/** One item: 0 or 1, for mc2 a share. `lls` are the log-likelihoods of its choices, in nats. */
export function choiceMetric(metric: ChoiceMetric, { choices, labels }: ChoiceItem, lls: readonly number[]): number {
  if (metric === 'mc2') return trueShare(labels, lls);
  const lengthOf = LENGTHS[metric];
  const scores = lls.map((ll, i) => ll / lengthOf(choices[i]));
  return labels[indexOfLargest(scores)];
}

const encoder = new TextEncoder();

const LENGTHS: Readonly<Record<Exclude<ChoiceMetric, 'mc2'>, (choice: string) => number>> = {
  acc: () => 1,
  acc_norm: (choice) => [...choice].length,
  acc_bytes: (choice) => encoder.encode(choice).length,
};

/** Shifted by the largest, so that long choices do not all become 0. */
function trueShare(labels: readonly number[], lls: readonly number[]): number {
  const largest = Math.max(...lls);
  const masses = lls.map((ll) => Math.exp(ll - largest));
  const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0);
  return sum(masses.filter((_, i) => labels[i] === 1)) / sum(masses);
}

function indexOfLargest(values: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** NaN for none. */
export function meanOf(values: readonly number[]): Mean {
  const count = values.length;
  const value = values.reduce((a, b) => a + b, 0) / count;
  if (count < 2) return { value, stderr: null };
  const squares = values.reduce((sum, one) => sum + (one - value) ** 2, 0);
  return { value, stderr: Math.sqrt(squares / (count - 1) / count) };
}
