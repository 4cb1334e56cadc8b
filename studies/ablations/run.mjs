/**
 * The study behind docs/findings.md: trains every recipe of recipes/ablations.mjs, three seeds of most, and writes what each run came to.
 *
 *   node studies/ablations/run.mjs --text FOLDER --runs FOLDER [--seeds 0,1,2] [--only topk,moe] [--jobs 2] [--threads 1] [--out FOLDER]
 *
 * --text is a folder of novels, one .txt file each; --runs keeps the runs (some 20 MB each). Two runs of one thread go side by side, which trains more
 * tokens a second on two cores than one run of two threads. Ctrl-C, a kill and a new start are safe: finished runs are skipped, others go on from
 * their last checkpoint. Seconds are measured afterwards, when nothing else runs, by studies/ablations/speed.mjs; then
 * node studies/ablations/findings.mjs.
 */

import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, readJson, writeJson } from '../../bench/lib/processes.mjs';
import { collect } from './collect.mjs';
import { booksOf, plannedRuns, runDirectory } from './plan.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    text,
    runs: text,
    seeds: { ...text, default: '0,1,2' },
    only: text,
    jobs: { ...text, default: '2' },
    threads: { ...text, default: '1' },
    out: { ...text, default: path.join(import.meta.dirname, 'results') },
  },
});
if (!given.text || !given.runs) throw new Error('--text FOLDER of novels and --runs FOLDER are needed.');
mkdirSync(given.runs, { recursive: true });

const books = booksOf(given.text);
const wanted = given.only?.split(',');
const runs = plannedRuns(given.seeds.split(',').map(Number)).filter(
  ({ name }) => !wanted || wanted.some((part) => name.includes(part)),
);
const resultFile = (seed) => path.join(given.out, `seed${seed}.json`);
const isOnFile = ({ name, seed }) => readJson(resultFile(seed))?.[name] !== undefined;

const waiting = runs.filter((run) => !isOnFile(run));
console.log(`${runs.length} runs, ${runs.length - waiting.length} of them on file`);
const tokenizer = path.join(given.runs, 'tokenizer.json');
let stopped = false;
let finished = 0;
const begun = performance.now();
process.on('SIGINT', () => {
  stopped = true;
});

// The first run trains the tokenizer that all the others take.
if (waiting.length > 0 && !existsSync(tokenizer)) {
  const [first] = waiting;
  await train(waiting.shift());
  const trained = path.join(runDirectory(given.runs, first), 'tokenizer.json');
  if (existsSync(trained)) copyFileSync(trained, tokenizer);
  // Without it the others would each train their own.
  else waiting.length = 0;
}
await Promise.all(Array.from({ length: Number(given.jobs) }, worker));
if (stopped) console.log('stopped; the same command goes on');
else if (runs.every(isOnFile)) console.log('all runs are on file');
else console.log('some runs failed; the same command tries them again');

async function worker() {
  while (waiting.length > 0 && !stopped) await train(waiting.shift());
}

async function train(run) {
  const directory = runDirectory(given.runs, run);
  const begin = performance.now();
  const { code, log } = await runTrain(run, directory);
  if (stopped) return;
  if (code !== 0) {
    console.error(`${path.basename(directory)} ended with code ${code}: see ${log}`);
    process.exitCode = 1;
    return;
  }
  const result = await collect(directory, books.inspected);
  // Read and written without a wait between: the other worker writes the same file.
  writeJson(resultFile(run.seed), { ...readJson(resultFile(run.seed)), [run.name]: result });
  finished++;
  const seconds = (performance.now() - begin) / 1000;
  const left = ((performance.now() - begun) / 1000 / finished) * waiting.length;
  console.log(
    `${path.basename(directory)}: ${result.quality.validationLoss.toFixed(3)} nats, ${Math.round(seconds)} s; ` +
      `${waiting.length} runs wait, about ${Math.round(left / 60)} min`,
  );
}

function runTrain({ name, seed }, directory) {
  const log = `${directory}.log`;
  const out = openSync(log, 'a');
  const common = ['--out', directory, '--threads', given.threads, '--backend', 'native'];
  const args = existsSync(path.join(directory, 'run.json'))
    ? ['train', '--resume', ...common]
    : [
        'train',
        `ablations/${name}`,
        '--seed',
        String(seed),
        '--text',
        ...books.trained,
        ...tokenizerOption(),
        ...common,
      ];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', out, out] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, log }));
  });
}

function tokenizerOption() {
  return existsSync(tokenizer) ? ['--tokenizer', tokenizer] : [];
}
