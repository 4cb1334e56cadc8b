/** What the study keeps of a model: perplexities, scores with their standard errors, measured zeros; and of a run its curve. */

import path from 'node:path';
import { qsparse } from '../../bench/lib/processes.mjs';
import { curveOf, readRecords } from '../../bench/lib/run-curves.mjs';

/**
 * `evaluation`: texts, tasks, data, limit, maxTokens, window, threads, and `items`, with which the names of the files begin that evaluations go on from. A `sparsity` takes the
 * place of the model's own.
 */
export function evaluate(model, sparsity, { texts, tasks, data, limit, maxTokens, window, threads, items }) {
  const common = ['--threads', threads, ...(sparsity === undefined ? [] : ['--sparsity', String(sparsity)])];
  const perplexity = {};
  for (const file of texts) {
    const name = path.basename(file);
    const args = ['--text', file, '--max-tokens', maxTokens, '--window', window, '--out', `${items}-${name}.jsonl`];
    const [{ perplexity: measured, zeros }] = qsparse(['eval', model, ...args, ...common]).results;
    perplexity[name] = { ...measured, zeros };
  }
  if (tasks.length === 0) return { perplexity, tasks: null };
  const args = ['--tasks', tasks.join(','), '--data', data, '--limit', limit, '--out', `${items}-tasks.jsonl`];
  const { results } = qsparse(['eval', model, ...args, ...common]);
  return { perplexity, tasks: results.map(({ task, items: count, metrics }) => ({ task, items: count, metrics })) };
}

/** Loss over tokens, the loss of held-out text, and the zeros of the last step. */
export async function trainingOf(run) {
  const records = await readRecords(run);
  const { points, validation } = curveOf(records);
  const steps = records.filter(({ type }) => type === 'step');
  const { tokens, seconds, modelSparsity } = steps.at(-1);
  return { tokens, seconds, modelSparsity, points: thinned(points), validation };
}

const CURVE_POINTS = 60;

function thinned(points) {
  const every = Math.ceil(points.length / CURVE_POINTS);
  return points.filter((_, i) => (points.length - 1 - i) % every === 0);
}
