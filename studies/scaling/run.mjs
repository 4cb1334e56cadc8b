/**
 * Trains the grid of plan.mjs, puts its tables under results/ and fits the laws to them; then node studies/scaling/document.mjs.
 *
 *   node studies/scaling/run.mjs --text FOLDER --runs FOLDER [--jobs 2] [--memory 4GiB] [--plan FILE] [--out FOLDER] [--no-fit]
 *
 * --text is a folder of novels, one .txt file each; --runs keeps the runs. Two runs of one thread go side by side. Ctrl-C, a kill and a new start are safe:
 * it is `qsparse law sweep` that trains, and it goes on where it was.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MAIN, qsparse, writeJson } from '../../bench/lib/processes.mjs';
import { booksOf, writeExcerpts } from './texts.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    text,
    runs: text,
    jobs: { ...text, default: '2' },
    memory: { ...text, default: '4GiB' },
    plan: { ...text, default: path.join(import.meta.dirname, 'plan.mjs') },
    out: { ...text, default: path.join(import.meta.dirname, 'results') },
    'no-fit': { type: 'boolean', default: false },
  },
});
if (!given.text || !given.runs) throw new Error('--text FOLDER of novels and --runs FOLDER are needed.');
mkdirSync(given.runs, { recursive: true });

const { trained, validated } = booksOf(given.text);
const excerpts = path.join(given.runs, 'unseen.txt');
writeExcerpts(validated, excerpts);
const args = ['law', 'sweep', given.plan, '--text', ...trained, '--validation', excerpts, '--out', given.runs];
const limits = ['--jobs', given.jobs, '--threads', '1', '--memory', given.memory, '--backend', 'native', '--discard'];
const { status } = spawnSync(process.execPath, [MAIN, ...args, ...limits], { stdio: 'inherit' });
process.exitCode = status ?? 1;

// A sweep that was stopped has a part of its tables: those of a whole one stay.
if (status === 0) {
  mkdirSync(given.out, { recursive: true });
  for (const table of ['runs.csv', 'rates.csv']) {
    const file = path.join(given.runs, table);
    if (existsSync(file)) copyFileSync(file, path.join(given.out, table));
  }
}
if (status === 0 && !given['no-fit']) {
  const laws = qsparse(['law', 'fit', path.join(given.out, 'runs.csv')]);
  writeJson(path.join(given.out, 'constants.json'), { ...laws, source: 'studies/scaling/results/runs.csv' });
}
