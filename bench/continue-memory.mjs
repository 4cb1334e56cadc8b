/**
 * How much memory a model takes in continue-training, with the moments in f32 and in 8 bits, and with the dense model as the teacher: the peak of the
 * process over a few steps, one process a case.
 *
 *   node bench/continue-memory.mjs --model MODEL --text FILE [--steps 3] [--batch-size 2] [--seq-len 256] [--threads 2] [--out FILE]
 *
 * Writes bench/results/continue/memory.json. Runs go to a temporary folder, which is removed.
 */

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { qsparse, ROOT, writeJson } from './lib/processes.mjs';

const text = { type: 'string' };
const { values: given } = parseArgs({
  options: {
    model: text,
    text,
    steps: { ...text, default: '3' },
    'batch-size': { ...text, default: '2' },
    'seq-len': { ...text, default: '256' },
    threads: { ...text, default: '2' },
    out: { ...text, default: path.join(ROOT, 'bench/results/continue/memory.json') },
  },
});
if (given.model === undefined || given.text === undefined) throw new Error('expected --model MODEL --text FILE');

const CASES = [
  { optimizerState: 'int8', distill: 0 },
  { optimizerState: 'int8', distill: 0.5 },
  { optimizerState: 'f32', distill: 0 },
];

const folder = mkdtempSync(path.join(tmpdir(), 'qsparse-memory-'));
const fixed = ['steps', 'batch-size', 'seq-len', 'threads'].flatMap((name) => [`--${name}`, given[name]]);
const cases = [];
try {
  for (const { optimizerState, distill } of CASES) {
    const args = [
      ...['--recompute', '--optimizer-state', optimizerState, '--distill', String(distill), ...fixed],
      ...['--save-every', '0', '--sample-every', '0', '--detail-every', '0'],
    ];
    const run = path.join(folder, `run-${cases.length}`);
    const result = qsparse(['continue', given.model, '--text', given.text, '--out', run, ...args]);
    const { peakProcessBytes, peakTensorBytes, tokensPerSecond, loss } = result;
    const command = `qsparse continue ${path.basename(given.model)} --text ${path.basename(given.text)} --out RUN ${args.join(' ')}`;
    cases.push({ optimizerState, distill, command, peakProcessBytes, peakTensorBytes, tokensPerSecond, loss });
    writeJson(given.out, {
      model: path.basename(given.model),
      modelBytes: bytesOf(given.model),
      machine: { cpu: cpus()[0].model, memoryBytes: totalmem(), node: process.version },
      cases,
    });
    console.error(
      `${optimizerState}, distill ${distill}: ${(peakProcessBytes / 2 ** 30).toFixed(2)} GiB of the process`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** Of a file, or of all that a directory holds. */
function bytesOf(file) {
  if (!statSync(file).isDirectory()) return statSync(file).size;
  return readdirSync(file).reduce((sum, name) => sum + bytesOf(path.join(file, name)), 0);
}
