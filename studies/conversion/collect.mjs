/** What the study keeps of a model: perplexities, activated parameters, scores with their standard errors; and of a run its curve. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { curveOf, readRecords } from '../../bench/lib/run-curves.mjs';
import { finalCheckpoint } from './runs.mjs';
import { shownMetric } from './shown-metric.mjs';

const ACTIVATED_TOKENS = 2048;
const CURVE_POINTS = 60;
/** --limit of `qsparse eval` is for each subject of MMLU: 57 of them. */
const SUBJECTS = 57;

/**
 * One part of an entry, of the model that `making` (plan.mjs) names; `qsparse(args)` gives what a command of the package prints.
 */
export async function measure(part, { run, evaluated, sparsity, items }, settings, qsparse) {
  if (part === 'training') return trainingOf(await readRecords(run));
  const model = run === undefined ? evaluated : finalCheckpoint(run);
  const shares = sparsity === undefined ? [] : ['--sparsity', String(sparsity)];
  const common = ['--threads', settings.threads, ...shares];
  switch (part) {
    case 'perplexity':
      return perplexityOf(model, common, settings, { items, qsparse });
    case 'activated':
      return activatedOf(model, common, settings, qsparse);
    case 'tasks':
      return tasksOf(model, common, settings, { items, qsparse });
  }
}

async function perplexityOf(model, common, { texts, maxTokens, window, prefix }, { items, qsparse }) {
  const measured = {};
  for (const { name, file } of texts.perplexity) {
    const records = recordsAt(`${items}-${name}.jsonl`);
    const windows = ['--max-tokens', String(maxTokens), '--window', String(window)];
    const protocol = ['--text', file, ...windows, ...(prefix ? ['--prefix'] : [])];
    const { results } = await qsparse(['eval', model, ...protocol, '--out', records, ...common]);
    const { perplexity, zeros } = results[0];
    measured[name] = { ...perplexity, zeros, ...windowsOf(perplexity, savedIn(records)) };
  }
  return { texts: measured };
}

/**
 * `windows`: nats a token of each window, in their order, with commas between them: two models have read the same ones. `windowTokens`: how many each has, where that is not the same number.
 */
export function windowsOf({ tokens }, saved) {
  const inOrder = saved.filter(({ window }) => window !== undefined).toSorted((a, b) => a.item - b.item);
  // A file that was begun with more --max-tokens has more of them than count.
  const own = [];
  let counted = 0;
  for (const { window } of inOrder) {
    if (counted >= tokens) break;
    counted += window.tokens;
    own.push(window);
  }
  if (counted !== tokens) throw new Error(`${own.length} windows have ${counted} tokens, and ${tokens} were scored.`);
  const windows = own.map((window) => (window.nats / window.tokens).toFixed(5)).join();
  const isEven = own.every((window) => window.tokens === own[0].tokens);
  return isEven ? { windows } : { windows, windowTokens: own.map((window) => window.tokens).join() };
}

/** Zeros that are really there, on a text that is measured too; an evaluation that goes on from its file counts only the rest. */
async function activatedOf(model, common, { texts }, qsparse) {
  const args = ['inspect', model, '--text', texts.perplexity[0].file, '--max-tokens', String(ACTIVATED_TOKENS)];
  const { parameters, activatedParameters, modelSparsity, projections } = await qsparse([...args, ...common]);
  const zeros = Object.fromEntries(projections.map(({ projection, sparsity }) => [projection, rounded(sparsity)]));
  return {
    parameters,
    activatedParameters: Math.round(activatedParameters),
    modelSparsity: rounded(modelSparsity),
    zeros,
  };
}

/** `values`: what the metric that the tables show is for each item, as `windows` above. */
async function tasksOf(model, common, { tasks, data, limit }, { items, qsparse }) {
  const records = recordsAt(`${items}-tasks.jsonl`);
  const run = async (names, most) => {
    const args = ['--tasks', names.join(','), '--data', data, '--limit', String(most), '--out', records];
    return (await qsparse(['eval', model, ...args, ...common])).results;
  };
  const plain = tasks.filter((name) => name !== 'mmlu');
  const results = [
    ...(plain.length > 0 ? await run(plain, limit) : []),
    ...(tasks.includes('mmlu') ? await run(['mmlu'], Math.ceil(limit / SUBJECTS)) : []),
  ];
  const saved = savedIn(records);
  return { scores: results.map(({ task, items: count, metrics }) => scoreOf({ task, count, metrics }, saved)) };
}

function savedIn(records) {
  const lines = readFileSync(records, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

export function scoreOf({ task, count, metrics }, saved) {
  const shown = shownMetric(metrics);
  const own = saved.filter((record) => record.task === task).toSorted((a, b) => a.item - b.item);
  const values = own.map((record) => Number(record.metrics[shown].toFixed(4)));
  if (values.length !== count)
    throw new Error(`${task}: ${count} items were scored, the records have ${values.length}.`);
  return { task, items: count, metrics, values: values.join() };
}

/** Records of version 1 do not know their weights, so that `qsparse eval` refuses them: they are made anew. */
function recordsAt(file) {
  if (existsSync(file) && readFileSync(file, 'utf8').startsWith('{"qsparse-eval":1,')) rmSync(file);
  return file;
}

/** Loss over tokens, the loss of held-out text, and the zeros of the last step. */
export function trainingOf(records) {
  const { points, validation } = curveOf(records);
  const { tokens, seconds, modelSparsity } = records.findLast(({ type }) => type === 'step');
  const { backend } = records.findLast(({ type }) => type === 'run');
  return {
    tokens,
    trainingSeconds: Math.round(seconds),
    modelSparsity: rounded(modelSparsity),
    backend,
    points: thinned(points),
    validation,
  };
}

function thinned(points) {
  const every = Math.ceil(points.length / CURVE_POINTS);
  return points.filter((_, i) => (points.length - 1 - i) % every === 0);
}

function rounded(value) {
  return Number(value.toPrecision(4));
}
