/**
 * Items of ARC-Easy a second: `qsparse eval` and lm-evaluation-harness with PyTorch, both in float32, in turns on one machine.
 *
 *   node bench/eval-speed.mjs MODEL DATA.jsonl --python PYTHON [--limit 200] [--rounds 3] [--threads 2] [--batches 1,16] [--out bench/results/eval/speed.json]
 *
 * MODEL is a directory of Hugging Face in f32 (`qsparse convert --to hf` makes one), which both open; PYTHON has lm_eval, torch and transformers. Each
 * measurement is a process of its own; neither counts the loading of the model. The harness is measured at each of the batches, and its best one counts.
 */

import path from 'node:path';
import { parseArgs } from 'node:util';
import { processorFlags, qsparse, ROOT, runJson, writeJson } from './lib/processes.mjs';
import { median, spread } from './lib/statistics.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    limit: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    batches: { type: 'string', default: '1,16' },
    out: { type: 'string' },
  },
});
const [model, data] = positionals;
if (data === undefined || values.python === undefined) {
  console.error(
    'usage: node bench/eval-speed.mjs MODEL DATA.jsonl --python PYTHON [--limit 200] [--rounds 3] [--out FILE]',
  );
  process.exit(2);
}

const ours = () => {
  const { results } = qsparse([
    'eval',
    model,
    '--tasks',
    'arc_easy',
    '--data',
    data,
    '--limit',
    values.limit,
    '--threads',
    values.threads,
  ]);
  const [{ seconds, metrics }] = results;
  return { seconds, items: Number(values.limit), metrics };
};
const theirs = (batch) => () => {
  const script = path.join(ROOT, 'bench/peers/lm_eval_arc.py');
  return runJson(values.python, [
    script,
    model,
    data,
    '--limit',
    values.limit,
    '--batch',
    batch,
    '--threads',
    values.threads,
  ]);
};
const variants = {
  'qsparse eval': ours,
  ...Object.fromEntries(values.batches.split(',').map((batch) => [`lm_eval, batch of ${batch}`, theirs(batch)])),
};
const measured = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, measure] of Object.entries(variants)) {
    measured[name].push(measure());
    console.error(`round ${round + 1}: ${name}: ${measured[name].at(-1).seconds.toFixed(1)} s`);
  }
}

const { machine, commit } = qsparse(['bench', 'select', '--shape', 'd512-l8', '--repeat', '1']);
const rows = Object.entries(measured).map(([name, all]) => ({
  name,
  itemsPerSecond: median(all.map(({ items, seconds }) => items / seconds)),
  spread: spread(all.map(({ seconds }) => seconds)),
  last: all.at(-1),
}));
const best = Math.max(...rows.slice(1).map((row) => row.itemsPerSecond));
const result = {
  bench: 'eval-speed',
  model: path.basename(path.resolve(model)),
  ...{ machine, processor: processorFlags(), commit, rounds: Number(values.rounds) },
  overBestOfHarness: rows[0].itemsPerSecond / best,
  rows,
};
if (values.out) writeJson(values.out, result);
console.log(JSON.stringify(result, null, 1));
