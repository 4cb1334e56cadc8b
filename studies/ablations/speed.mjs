/**
 * Seconds of the study's models, side by side: each goes on training for some steps, in turns with the others, round after round.
 *
 *   node studies/ablations/speed.mjs --runs FOLDER [--rounds 3] [--steps 16] [--threads 2] [--only topk,dense] [--out FOLDER]
 *
 * A step is one of a model that has been trained, with the zeros it has then; a fresh one has other gates. The runs of seed 0 are copied, what goes
 * on is the copy. Nothing else may run meanwhile. A ratio to the dense model of the same shape is taken inside each round.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, processorFlags, readJson, writeJson } from '../../bench/lib/processes.mjs';
import { readRecords } from '../../bench/lib/run-curves.mjs';
import { median, spread } from '../../bench/lib/statistics.mjs';
import { plannedRuns, runDirectory } from './plan.mjs';

/** The first steps of a process fill pools and caches. */
const WARM_UP_STEPS = 4;
const SEED = 0;

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    runs: text,
    only: text,
    rounds: { ...text, default: '3' },
    steps: { ...text, default: '16' },
    threads: { ...text, default: '2' },
    out: { ...text, default: path.join(import.meta.dirname, 'results') },
  },
});
if (!given.runs) throw new Error('--runs FOLDER is needed: the runs of studies/ablations/run.mjs.');

const onFile = readJson(path.join(given.out, `seed${SEED}.json`)) ?? {};
const wanted = given.only?.split(',');
const names = plannedRuns([SEED])
  .map(({ name }) => name)
  .filter((name) => onFile[name] && (!wanted || wanted.some((part) => name.includes(part))));
for (const name of names.map(denseTwin))
  if (!names.includes(name)) throw new Error(`${name} is what others are compared with: train it first.`);

const file = path.join(given.out, 'speed.json');
const { rounds, steps, threads } = given;
const how = { processor: processorFlags(), rounds: Number(rounds), steps: Number(steps), threads: Number(threads) };
const others = given.only ? othersOnFile() : {};

const copies = mkdtempSync(path.join(os.tmpdir(), 'qsparse-ablations-'));
try {
  for (const name of names)
    cpSync(runDirectory(given.runs, { name, seed: SEED }), path.join(copies, name), { recursive: true });
  const rates = Object.fromEntries(names.map((name) => [name, []]));
  let machine;
  for (let round = 0; round < Number(given.rounds); round++) {
    for (const name of names) {
      const { rate, run } = await trainOn(name);
      rates[name].push(rate);
      machine = run.machine;
    }
    console.log(`round ${round + 1} of ${given.rounds}: dense ${Math.round(rates.dense.at(-1))} tokens/s`);
  }
  const models = mapNames((name) => ({
    tokensPerSecond: Math.round(median(rates[name])),
    spread: Number(spread(rates[name]).toFixed(3)),
    overDense: Number(median(rates[name].map((rate, round) => rate / rates[denseTwin(name)][round])).toFixed(3)),
  }));
  writeJson(file, { machine, ...how, models: { ...others, ...models } });
} finally {
  rmSync(copies, { recursive: true });
}

/** Ratios are to the dense model of the same rounds, so those of other models stay as they are, if they were measured in the same way. */
function othersOnFile() {
  const { models, machine: _machine, ...before } = readJson(file) ?? { models: {}, ...how };
  if (JSON.stringify(before) === JSON.stringify(how)) return models;
  throw new Error(`${file} was measured otherwise: measure all models, or give another --out.`);
}

/** Trains the copy of `name` for some more steps; the median rate of those behind the warm-up. */
async function trainOn(name) {
  const directory = path.join(copies, name);
  const before = (await readRecords(directory)).findLast(({ type }) => type === 'step').step;
  const steps = String(before + Number(given.steps));
  const quiet = ['--validate-every', '0', '--save-every', '0', '--detail-every', '0'];
  execFileSync(
    process.execPath,
    [MAIN, 'train', '--resume', '--out', directory, '--steps', steps, '--threads', given.threads, ...quiet],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const records = await readRecords(directory);
  const rates = records.filter(({ type, step }) => type === 'step' && step > before + WARM_UP_STEPS);
  return {
    rate: median(rates.map(({ tokensPerSecond }) => tokensPerSecond)),
    run: records.findLast(({ type }) => type === 'run'),
  };
}

/** The dense model of the same shape; of narrow and wide ones the one that they are to be judged against. */
function denseTwin(name) {
  return name.startsWith('deep-') ? 'deep-dense' : 'dense';
}

function mapNames(of) {
  return Object.fromEntries(names.map((name) => [name, of(name)]));
}
