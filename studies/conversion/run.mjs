/**
 * The study behind docs/conversion.md: one dense model made sparse in every way of plan.mjs, each evaluated on the same texts and tasks.
 *
 *   node studies/conversion/run.mjs --model MODEL --text FOLDER --calibration FILE --runs FOLDER [--perplexity FILE,FILE] [--tasks arc_easy,hellaswag]
 *     [--data FOLDER] [--limit 200] [--max-tokens 65536] [--window 512] [--only qsparse,teal] [--threads 2] [--out FILE] [-- OPTIONS OF EVERY TRAINING]
 *
 * --text is trained on, --calibration (a text of neither) sets the thresholds, --perplexity are texts that nothing has seen. Behind `--` stand options
 * for `qsparse continue`, such as --tokens 200_000. Results are one file, written after each entry. Ctrl-C, a kill and a new start are safe: what is on file
 * is skipped, runs go on from their last checkpoint, evaluations from their last item.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, processorFlags, qsparse, readJson, writeJson } from '../../bench/lib/processes.mjs';
import { evaluate, trainingOf } from './collect.mjs';
import { planned, stepsOf } from './plan.mjs';

const text = { type: 'string' };
const separator = process.argv.indexOf('--');
const train = separator < 0 ? [] : process.argv.slice(separator + 1);
const { values: given } = parseArgs({
  args: process.argv.slice(2, separator < 0 ? undefined : separator),
  options: {
    model: text,
    text,
    calibration: text,
    runs: text,
    perplexity: { ...text, default: '' },
    tasks: { ...text, default: '' },
    data: text,
    limit: { ...text, default: '200' },
    'max-tokens': { ...text, default: '65536' },
    window: { ...text, default: '512' },
    only: text,
    threads: { ...text, default: '2' },
    out: { ...text, default: path.join(import.meta.dirname, 'results', 'results.json') },
  },
});
for (const name of ['model', 'text', 'calibration', 'runs']) {
  if (!given[name]) throw new Error(`--${name} is needed: see the head of this file.`);
}
mkdirSync(path.join(given.runs, 'items'), { recursive: true });
const listOf = (value) => value.split(',').filter(Boolean);
const evaluation = {
  ...{ texts: listOf(given.perplexity), tasks: listOf(given.tasks), data: given.data },
  ...{ limit: given.limit, maxTokens: given['max-tokens'], window: given.window, threads: given.threads },
};
const common = ['--threads', given.threads];
const options = {
  ...{ runs: given.runs, model: given.model, text: [given.text], calibrationText: given.calibration },
  train: [...common, ...train],
};

let stopped = false;
process.on('SIGINT', () => {
  stopped = true;
});

for (const entry of planned(given.only?.split(','))) {
  if (stopped) break;
  const results = readJson(given.out);
  if (results?.models?.[entry.name] !== undefined) continue;
  const { commands, evaluated, sparsity } = stepsOf(entry, options);
  for (const command of commands) if (!stopped) await make(command);
  if (stopped) break;
  const result = {
    ...entry,
    ...evaluate(evaluated, sparsity, { ...evaluation, items: path.join(given.runs, 'items', entry.name) }),
    ...(entry.kind === 'train' && { training: await trainingOf(evaluated) }),
  };
  const models = { ...results?.models, [entry.name]: result };
  const { texts, tasks, limit, maxTokens, window } = evaluation;
  const protocol = { texts: texts.map((file) => path.basename(file)), tasks, limit, maxTokens, window };
  writeJson(given.out, { model: path.basename(given.model), protocol, processor: processorFlags(), models });
  const quality = Object.entries(result.perplexity).map(([name, { perplexity }]) => `${name} ${perplexity.toFixed(2)}`);
  console.log(`${entry.name}: ${quality.join(', ')}`);
}
console.log(stopped ? 'stopped; the same command goes on' : 'everything is on file');

/** Runs a command unless what it makes is there; a run that was begun goes on. */
async function make({ done, run, args }) {
  if (done !== undefined) {
    if (!existsSync(done)) qsparse(args);
    return;
  }
  const log = `${run}.log`;
  const isBegun = existsSync(path.join(run, 'run.json'));
  if (isBegun && isFinished(run)) return;
  const code = await runCommand(isBegun ? ['continue', '--out', run, '--resume', ...common] : args);
  if (code !== 0 && !stopped) throw new Error(`${path.basename(run)} ended with code ${code}: see ${log}`);
}

function isFinished(run) {
  const { train: settings } = readJson(path.join(run, 'run.json'));
  return existsSync(path.join(run, 'checkpoints', `step-${String(settings.steps).padStart(6, '0')}`));
}

function runCommand(args) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
}
