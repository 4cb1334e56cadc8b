/**
 * Training steps in turns: this project dense and with 60 % zeros, and PyTorch in each of its modes, on the same shape and machine.
 *
 *   npx qsparse train --preset d512-l8 --text FOLDER --out runs/d512 --steps 300
 *   node bench/train-against-pytorch.mjs runs/d512 [MORE RUNS OF THE SAME SHAPE] --text FILE [--rounds 3]
 *     [--precision f32,bf16] [--modes f32,f32-compile,bf16,bf16-compile] [--sparsity 0.6] [--batch-size 8] [--seq-len 256]
 *     [--threads 2] [--repeat 3] [--torch-steps 6] [--out FILE]
 *
 * A run gives the gates of a model in training (fresh weights close only half of them); FILE is the text that it reads. Needs python3 with
 * torch. Writes bench/results/train-against-pytorch.json: medians, spreads, ratios, all rounds, and which instructions the
 * processor has: without bf16 ones (avx512_bf16, amx_bf16) PyTorch imitates bf16 and is far slower in it than in f32.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ourVariants, summarise, torchVariant } from './lib/against-pytorch.mjs';
import { processorFlags, qsparse, ROOT, runJson, runName, writeJson } from './lib/processes.mjs';

const { values: options, positionals: models } = parseArgs({
  allowPositionals: true,
  options: {
    text: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    repeat: { type: 'string', default: '3' },
    'torch-steps': { type: 'string', default: '6' },
    precision: { type: 'string', default: 'f32' },
    modes: { type: 'string', default: 'f32,f32-compile,bf16,bf16-compile' },
    sparsity: { type: 'string', default: '0.6' },
    'batch-size': { type: 'string', default: '8' },
    'seq-len': { type: 'string', default: '256' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: path.join(ROOT, 'bench/results/train-against-pytorch.json') },
  },
});
if (models.length === 0 || !options.text) {
  throw new Error('usage: node bench/train-against-pytorch.mjs RUN [RUN ...] --text FILE; the header has the options.');
}

/** What the peer imitates: it has no grouped keys, and one kind of gate. */
async function shapeOf(directory) {
  const { findCheckpoint } = await import('../dist/formats/checkpoint-directory.js');
  const config = JSON.parse(readFileSync(path.join(findCheckpoint(directory, 'best'), 'config.json'), 'utf8'));
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize, activation, tiedEmbeddings, hiddenL1 } = config;
  if (nKvHeads !== nHeads || activation !== 'relu2' || !tiedEmbeddings) {
    throw new Error(`${directory}: the peer has as many key heads as heads, relu2 gates and tied embeddings only.`);
  }
  return { shape: { dim, hiddenDim, nLayers, nHeads, vocabSize }, hiddenL1 };
}

/** One precision a process, because the memory of the process is compared too. */
function measureOurs(model, precision) {
  const passed = ['text', 'sparsity', 'batch-size', 'seq-len', 'threads', 'repeat'];
  return qsparse([
    'bench',
    'train',
    model,
    '--precision',
    precision,
    ...passed.flatMap((name) => [`--${name}`, options[name]]),
  ]);
}

function measureTorch(mode, shape) {
  const given = {
    dim: shape.dim,
    'hidden-dim': shape.hiddenDim,
    layers: shape.nLayers,
    heads: shape.nHeads,
    'vocab-size': shape.vocabSize,
    'seq-len': options['seq-len'],
    'batch-size': options['batch-size'],
    threads: options.threads,
    steps: options['torch-steps'],
    mode,
  };
  const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return runJson('python3', [path.join(ROOT, 'bench/peers/torch_train.py'), ...args]);
}

const runs = await Promise.all(models.map(shapeOf));
const shapes = runs.map((run) => run.shape);
const [shape] = shapes;
if (shapes.some((other) => JSON.stringify(other) !== JSON.stringify(shape))) {
  throw new Error(`all runs must have one shape, got ${shapes.map((other) => JSON.stringify(other)).join(' and ')}.`);
}
const modes = options.modes.split(',').filter(Boolean);
const rounds = [];
let about;
for (let round = 0; round < Number(options.rounds); round++) {
  const entries = [];
  let flopsPerToken = 0;
  for (const [m, model] of models.entries()) {
    for (const precision of options.precision.split(',')) {
      const ours = measureOurs(model, precision);
      const [{ gflopsDenseEquivalent, tokensPerSecond, step }] = ours.rows;
      flopsPerToken = (1e9 * gflopsDenseEquivalent) / tokensPerSecond;
      const run = { [runName(model)]: { step, hiddenL1: runs[m].hiddenL1 } };
      about = { ...about, machine: ours.machine, commit: ours.commit, runs: { ...about?.runs, ...run } };
      entries.push(...ourVariants(runName(model), ours));
    }
  }
  for (const mode of modes) {
    const torch = measureTorch(mode, shape);
    about.torch = torch.torch;
    entries.push(torchVariant(torch, flopsPerToken));
  }
  rounds.push(entries);
  console.log(
    Object.fromEntries(entries.map(({ variant, tokensPerSecond }) => [variant, Math.round(tokensPerSecond)])),
  );
}

const summary = summarise(rounds);
const batch = { batch: Number(options['batch-size']), seqLen: Number(options['seq-len']) };
const result = { bench: 'train-against-pytorch', ...about, processor: processorFlags(), shape: { ...shape, ...batch } };
writeJson(options.out, { ...result, summary, rounds });
console.log(summary.bestTorch === null ? 'PyTorch was not asked for' : `best of PyTorch: ${summary.bestTorch}`);
console.table(summary.rows.map(({ variant, tokensPerSecond, over }) => ({ variant, tokensPerSecond, ...over })));
