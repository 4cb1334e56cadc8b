/** The tables of bench/results/logit-pruning.json. */

import { table } from './markdown.mjs';
import { signed, times, whole } from './number-text.mjs';
import { median } from './statistics.mjs';

const thresholdText = (threshold) => (threshold === 0 ? 'none' : threshold.toExponential());

/** Losses of held-out text along the runs, and what each threshold is away from none with the same seed at the end. */
export function pruningQuality(rows) {
  const exact = (row) => rows.find((other) => other.threshold === 0 && isBeside(other, row));
  const loss = (row) => row.validation.at(-1).loss;
  const sorted = rows.toSorted((a, b) => a.seed - b.seed || a.threshold - b.threshold);
  return table(sorted, [
    { title: 'model', of: (row) => row.model, left: true },
    { title: 'left to chance below', of: (row) => thresholdText(row.threshold) },
    { title: 'seed', of: (row) => row.seed },
    { title: 'tokens', of: (row) => whole(row.tokens) },
    ...[0.25, 0.5, 0.75, 1].map((share) => ({
      title: share === 1 ? 'loss at the end' : `at ${100 * share} %`,
      of: (row) => row.validation[Math.round(share * row.validation.length) - 1].loss.toFixed(4),
    })),
    {
      title: 'against none',
      of: (row) => (row.threshold === 0 || !exact(row) ? '-' : signed(loss(row) - loss(exact(row)), 4)),
    },
  ]);
}

function isBeside(a, b) {
  return ['model', 'recipe', 'seqLen', 'batchSize', 'seed', 'steps'].every((field) => a[field] === b[field]);
}

/** Milliseconds of a step; ratios are those within a round. */
export function pruningSpeed(groups) {
  const rows = groups.flatMap(({ rows: ofGroup, ...group }) => {
    const exact = ofGroup.find(({ threshold }) => threshold === 0);
    return ofGroup.map((row) => ({ ...group, ...row, faster: row.msPerStep.map((ms, i) => exact.msPerStep[i] / ms) }));
  });
  return table(rows, [
    { title: 'model', of: (row) => row.model, left: true },
    { title: 'tokens a step', of: (row) => whole(row.seqLen * row.batchSize) },
    { title: 'threads', of: (row) => row.threads },
    { title: 'left to chance below', of: (row) => thresholdText(row.threshold) },
    { title: 'ms a step', of: (row) => whole(median(row.msPerStep)) },
    { title: 'times as fast', of: (row) => times(median(row.faster)) },
    { title: 'rounds', of: (row) => `${times(Math.min(...row.faster))} to ${times(Math.max(...row.faster))}` },
  ]);
}
