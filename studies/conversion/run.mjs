/**
 * The study behind docs/conversion.md: one dense model made sparse in every way of plan.mjs, each measured on the same texts and tasks.
 *
 *   node studies/conversion/run.mjs --data FOLDER --runs FOLDER [--study smollm2] [--only qsparse,teal] [--parts perplexity,activated] [--plan] [--threads 2]
 *     [--tokens 1000000] [--limit 100] [--max-tokens 8192] [--window 512] [--minutes 60] [--out FILE]
 *
 * --data holds weights/, text/, eval/ and sft/. --plan says what is left and how long it takes, and ends. --only names entries, or parts of their names; --parts what is measured of
 * them; --minutes begins nothing new after so long. Cheap things come first. Results are one file, written after each unit. Ctrl-C, a kill and a new start are safe: what is on file is
 * skipped, runs go on from their last checkpoint, evaluations from their last item. Another --limit or --max-tokens measures again, and takes what it has from the items.
 * stories15M and stories260K train on samples of their own: first samples.mjs.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, processorFlags, readJson, writeJson } from '../../bench/lib/processes.mjs';
import { measure } from './collect.mjs';
import { derive } from './derive.mjs';
import { ratesOf, secondsOf, timeText, workOf } from './estimate.mjs';
import { making, STUDIES, unitsOf } from './plan.mjs';
import { isMeasured, protocolOf } from './protocol.mjs';
import { isFinished } from './runs.mjs';
import { textsOf } from './texts.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    ...{ study: { ...text, default: 'smollm2' }, data: text, runs: text, out: text, only: text, parts: text },
    ...{ tokens: text, limit: text, 'max-tokens': text, window: text, minutes: text },
    ...{ threads: { ...text, default: '2' }, plan: { type: 'boolean', default: false } },
  },
});
for (const name of ['data', 'runs']) {
  if (!given[name]) throw new Error(`--${name} FOLDER is needed: see the head of this file.`);
}
const study = STUDIES[given.study];
if (!study) throw new Error(`--study: expected one of ${Object.keys(STUDIES).join(', ')}, got ${given.study}.`);
const out = given.out ?? path.join(import.meta.dirname, 'results', `${given.study}.json`);
const data = path.resolve(given.data);
const runs = path.resolve(given.runs);
const numberOf = (name) => Number(given[name] ?? study.options[name]);
const settings = {
  ...{ runs, model: path.join(data, study.model), data: path.join(data, 'eval'), tasks: study.tasks },
  ...{
    tokens: numberOf('tokens'),
    limit: numberOf('limit'),
    maxTokens: numberOf('max-tokens'),
    window: numberOf('window'),
  },
  ...{ seqLen: study.seqLen, prefix: study.prefix, trainingOptions: study.trainingOptions, threads: given.threads },
  texts: textsOf(study, data, runs),
  parameters: study.parameters,
};
const common = ['--threads', given.threads];
/** Characters of what a command says that are kept for an error. */
const MOST_MESSAGES = 2000;

let stopped = false;
let running = null;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    stopped = true;
    // A terminal sends Ctrl-C to it as well; the command finishes what it is at, saves, and ends.
    if (signal === 'SIGTERM') running?.kill('SIGINT');
  });
}

const units = unitsOf(given.study, given.only?.split(',')).filter(
  ({ part }) => !given.parts || given.parts.split(',').includes(part),
);
const modelsOnFile = () => readJson(out)?.models ?? {};
const waiting = () => units.filter((unit) => !isMeasured(modelsOnFile(), unit, settings));
/** Of the units left, in all. */
const secondsLeft = () => {
  const rates = ratesOf(modelsOnFile(), unitsOf(given.study), settings);
  return waiting().map((unit) => ({ ...unit, seconds: secondsOf(unit, settings, rates) }));
};

if (given.plan) {
  const left = secondsLeft();
  for (const { entry, part, seconds } of left) console.log(`${timeText(seconds).padStart(8)}  ${entry.name} ${part}`);
  const total = left.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(`${left.length} of ${units.length} are left, about ${timeText(total)}`);
} else {
  const { lockRunDirectory } = await import('../../dist/formats/run-lock.js');
  const lock = lockRunDirectory(runs);
  try {
    await runAll();
  } finally {
    lock.release();
  }
}

async function runAll() {
  const began = performance.now();
  const isLate = () => given.minutes !== undefined && performance.now() - began > 60_000 * Number(given.minutes);
  for (const unit of waiting()) {
    if (stopped || isLate()) break;
    try {
      await runUnit(unit);
    } catch (error) {
      // A command that was stopped gives no result.
      if (!stopped) throw error;
    }
  }
  const left = waiting().length;
  console.log(left > 0 ? `${left} of ${units.length} are left; the same command goes on` : 'everything is on file');
}

async function runUnit({ entry, part }) {
  const how = making(entry, settings);
  const began = performance.now();
  mkdirSync(path.dirname(how.items), { recursive: true });
  for (const step of how.steps) await make(step);
  const result = await measure(part, how, settings, qsparse);
  const seconds = part === 'training' ? result.trainingSeconds : (performance.now() - began) / 1000;
  const done = {
    ...result,
    protocol: protocolOf({ entry, part }, settings),
    work: workOf({ entry, part }, settings),
    seconds: Math.round(seconds),
  };
  const onFile = readJson(out) ?? {};
  const of = { ...(onFile.models?.[entry.name] ?? entry), [part]: done };
  const models = { ...onFile.models, [entry.name]: of };
  writeJson(out, {
    study: given.study,
    model: path.basename(settings.model),
    machine: { cpu: os.cpus()[0].model, cores: os.cpus().length, memoryBytes: os.totalmem(), node: process.version },
    processor: processorFlags(),
    models,
  });
  const left = secondsLeft();
  const rest = timeText(left.reduce((sum, one) => sum + one.seconds, 0));
  console.log(
    `${new Date().toISOString().slice(0, 19)}  ${entry.name} ${part}: ${Math.round(seconds)} s; ${left.length} are left, about ${rest}`,
  );
}

/** Makes what is not there; a run that was begun goes on. */
async function make({ made, run, args, derive: derived }) {
  if (run !== undefined) return makeRun(run, args);
  if (existsSync(made)) return;
  if (derived) {
    const { from, sparsity } = derived();
    await derive(from, sparsity, made);
  } else {
    await qsparse([...args(), ...common]);
  }
}

async function makeRun(run, argsOf) {
  if (isFinished(run)) return;
  const args = argsOf();
  const isBegun = existsSync(path.join(run, 'run.json'));
  await qsparse(isBegun ? [args[0], '--out', run, '--resume', ...common] : [...args, ...common]);
}

/** The object that a command prints. Throws with its last messages where it fails or is stopped. */
async function qsparse(args) {
  const child = spawn(process.execPath, [MAIN, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  running = child;
  const printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (piece) => {
      printed[stream] = stream === 'stdout' ? printed.stdout + piece : (printed.stderr + piece).slice(-MOST_MESSAGES);
    });
  }
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  running = null;
  if (code !== 0) throw new Error(`qsparse ${args.join(' ')} ended with code ${code}:\n${printed.stderr}`);
  return JSON.parse(printed.stdout);
}
