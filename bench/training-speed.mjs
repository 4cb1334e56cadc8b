/**
 * The study of training speed behind docs/training-speed.md: dense against sparse over sparsity, batch and length, model size, skips, the
 * coefficient of the L1 term; and of finished runs loss against seconds, and f32 against bf16.
 *
 *   node bench/training-speed.mjs --model runs/d512 --runs runs --text FOLDER [--bench-text FILE]
 *     [--only sparsity,batch,size,skips,l1,bf16,wall-clock] [--l1-runs runs/l1-0,runs/l1-1e-3] [--bf16-runs f32=runs/a,bf16=runs/b]
 *     [--wall-clock dense=runs/a,sparse=runs/b]
 *     [--rounds 5] [--precision f32,bf16] [--sparsity 0.6] [--sizes 256x8,512x8,1024x4,2048x2] [--steps 150] [--batch-size 8]
 *     [--hidden-l1 3e-4] [--tokenizer FILE] [--threads 2] [--out FOLDER]
 *
 * --model is a run of the preset d512-l8 that has been trained for some hundred steps. The part `size` trains its own runs below --runs, for
 * --steps steps of --batch-size sequences with the coefficient --hidden-l1; the bench has batches of 8 always. Each part is a file below bench/results/training-speed/, written after each case: started again, the study goes
 * on with what is missing or was asked differently (delete a file to have its part measured anew). Then: node bench/training-speed-doc.mjs.
 */

import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './lib/processes.mjs';
import { measurePart } from './lib/study.mjs';
import { NEEDS, PARTS } from './lib/training-speed-parts.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    model: text,
    runs: text,
    text,
    'bench-text': text,
    only: text,
    'l1-runs': { ...text, multiple: true, default: [] },
    'bf16-runs': { ...text, multiple: true, default: [] },
    'wall-clock': { ...text, multiple: true, default: [] },
    rounds: { ...text, default: '5' },
    precision: { ...text, default: 'f32' },
    sparsity: { ...text, default: '0.6' },
    sizes: text,
    steps: { ...text, default: '150' },
    'batch-size': { ...text, default: '8' },
    'hidden-l1': { ...text, default: '3e-4' },
    tokenizer: text,
    threads: { ...text, default: '2' },
    out: { ...text, default: path.join(ROOT, 'bench/results/training-speed') },
  },
});

const listOf = (values) => values.flatMap((value) => value.split(',')).filter(Boolean);
const l1Runs = listOf(given['l1-runs']);
const namedRuns = (values) => listOf(values).map((entry) => entry.split('='));
const bf16Runs = namedRuns(given['bf16-runs']);
const wallClock = namedRuns(given['wall-clock']);
const options = {
  ...given,
  benchText: given['bench-text'] ?? (given.text && firstText(given.text)),
  batchSize: given['batch-size'],
  hiddenL1: Number(given['hidden-l1']),
  sizes: given.sizes?.split(',').map((size) => size.split('x').map(Number)),
  l1Runs: l1Runs.length > 0 ? l1Runs : undefined,
  bf16Runs: bf16Runs.length > 0 ? bf16Runs : undefined,
  wallClock: wallClock.length > 0 ? wallClock : undefined,
};

/** The bench reads one file; a model may be trained on a folder of them. */
function firstText(place) {
  if (!statSync(place).isDirectory()) return place;
  const [first] = readdirSync(place)
    .filter((name) => name.endsWith('.txt'))
    .sort();
  if (!first) throw new Error(`${place} holds no .txt file: name one with --bench-text.`);
  return path.join(place, first);
}

const parts = given.only?.split(',') ?? Object.keys(PARTS);
for (const part of parts) {
  if (!PARTS[part]) throw new Error(`--only: expected some of ${Object.keys(PARTS).join(', ')}, got ${part}.`);
  const missing = NEEDS[part].filter((name) => options[name] === undefined);
  const flags = missing.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  if (missing.length === 0) await measurePart('training-speed', part, PARTS[part](options), given.out);
  else if (given.only) throw new Error(`${part} needs ${flags.join(', ')}.`);
  else console.log(`${part}: left out, it needs ${flags.join(', ')}`);
}
