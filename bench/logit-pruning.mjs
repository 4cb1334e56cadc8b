/**
 * What --logit-pruning costs and gains: one model trained on with several thresholds, the same text and steps.
 *
 *   node bench/logit-pruning.mjs quality --model MODEL --text FILE [--thresholds 0,1e-5] [--seeds 0,1] [--steps 120] [--runs FOLDER]
 *   node bench/logit-pruning.mjs speed --model MODEL --text FILE [--thresholds 0,1e-5] [--rounds 5] [--seq-len 256] [--batch-size 16]
 *
 * `quality`: the loss of held-out text along each run; those of one seed see the same sequences. `speed`: milliseconds of a step, a process of four steps for each
 * threshold in turns, the first step left out. Both write bench/results/logit-pruning.json, and go on from what it has. Run it with nothing else going on for `speed`.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { qsparse, ROOT, readJson, writeJson } from './lib/processes.mjs';
import { readRecords } from './lib/run-curves.mjs';
import { median } from './lib/statistics.mjs';

const text = { type: 'string' };
const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: text,
    text,
    recipe: { ...text, default: 'conversions/qsparse' },
    thresholds: { ...text, default: '0,1e-5' },
    seeds: { ...text, default: '0,1' },
    steps: { ...text, default: '120' },
    rounds: { ...text, default: '5' },
    'seq-len': { ...text, default: '256' },
    'batch-size': { ...text, default: '16' },
    threads: { ...text, default: '1' },
    runs: text,
    out: { ...text, default: path.join(ROOT, 'bench/results/logit-pruning.json') },
  },
});
const [part] = positionals;
if (!['quality', 'speed'].includes(part) || given.model === undefined || given.text === undefined) {
  throw new Error('expected quality or speed, --model MODEL and --text FILE');
}

const STEPS_OF_A_ROUND = 4;
const thresholds = given.thresholds.split(',').map(Number);
const name = path.basename(given.model);
const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version };
const results = readJson(given.out) ?? { quality: [], speed: [] };
const folder = given.runs ?? mkdtempSync(path.join(tmpdir(), 'qsparse-pruning-'));

function train(threshold, seed, steps, run, more) {
  const shape = ['--seq-len', given['seq-len'], '--batch-size', given['batch-size'], '--threads', given.threads];
  const length = ['--steps', String(steps), '--seed', String(seed), '--save-every', '0', '--sample-every', '0'];
  const args = [...shape, ...length, '--detail-every', '0', '--optimizer-state', 'f32', '--no-recompute', ...more];
  const pruning = ['--logit-pruning', String(threshold)];
  const from = [given.model, '--recipe', given.recipe, '--text', given.text];
  // What a stopped measurement left.
  rmSync(run, { recursive: true, force: true });
  return qsparse(['continue', ...from, '--out', run, ...args, ...pruning]);
}

const settings = {
  model: name,
  recipe: given.recipe,
  seqLen: Number(given['seq-len']),
  batchSize: Number(given['batch-size']),
};
const isSame = (row) => Object.entries(settings).every(([field, value]) => row[field] === value);

async function quality() {
  const steps = Number(given.steps);
  for (const seed of given.seeds.split(',').map(Number)) {
    for (const threshold of thresholds) {
      const known = results.quality.some(
        (row) => isSame(row) && row.seed === seed && row.threshold === threshold && row.steps === steps,
      );
      if (known) continue;
      const run = path.join(folder, `${name}-${threshold}-${seed}-${steps}`);
      const { tokens } = train(threshold, seed, steps, run, ['--validate-every', String(Math.ceil(steps / 4))]);
      const records = await readRecords(run);
      const validation = records
        .filter(({ type }) => type === 'validation')
        .map(({ step, loss }) => ({ step, loss: Number(loss.toFixed(5)) }));
      results.quality.push({ ...settings, seed, threshold, steps, tokens, machine, validation });
      writeJson(given.out, results);
      console.error(
        `seed ${seed}, threshold ${threshold}: ${validation.map(({ loss }) => loss.toFixed(4)).join(', ')}`,
      );
    }
  }
}

async function speed() {
  const rounds = Number(given.rounds);
  const ms = thresholds.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, threshold] of thresholds.entries()) {
      const run = path.join(folder, `${name}-${round}-${threshold}`);
      train(threshold, 0, STEPS_OF_A_ROUND, run, ['--validate-every', '0', '--validation-share', '0.001']);
      const steps = (await readRecords(run)).filter(({ type }) => type === 'step').slice(1);
      const tokens = settings.seqLen * settings.batchSize;
      ms[i].push(Math.round(median(steps.map(({ tokensPerSecond }) => (1000 * tokens) / tokensPerSecond))));
      console.error(`round ${round + 1}, threshold ${threshold}: ${ms[i].at(-1)} ms a step`);
      rmSync(run, { recursive: true });
    }
    saveSpeed(ms);
  }
}

function saveSpeed(ms) {
  const rows = thresholds.map((threshold, i) => ({ threshold, msPerStep: ms[i] }));
  const threads = Number(given.threads);
  results.speed = results.speed.filter((row) => !isSame(row) || row.threads !== threads);
  results.speed.push({ ...settings, threads, machine, rows });
  writeJson(given.out, results);
}

try {
  await (part === 'quality' ? quality() : speed());
} finally {
  if (given.runs === undefined) rmSync(folder, { recursive: true });
}
