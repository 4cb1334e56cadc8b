/**
 * The parts of the study of training speed: which cases each has, and what each case asks `qsparse` for.
 *
 * A case is `{ key, asked, measure }`: `key` names its row or rows, `asked` is the question in words without paths (a case whose answer to
 * the same question is on file is not measured again), `measure` answers it.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { qsparse, runName } from './processes.mjs';
import { curveOf, qualityOf, readRecords } from './run-curves.mjs';

const SPARSITIES = '0,0.3,0.4,0.5,0.6,0.7,0.8,0.9';
const BATCHES = [
  [1, 128],
  [1, 256],
  [2, 256],
  [4, 256],
  [8, 256],
  [8, 512],
  [16, 256],
];
/** dim and layers: fewer of them where they are wide, so that the wide ones fit into memory. */
export const SIZES = [
  [256, 8],
  [512, 8],
  [1024, 4],
  [2048, 2],
];
const HEAD_DIM = 64;

export const PARTS = {
  sparsity: (options) => [benchCase('sparsity', options.model, ['--sparsity', SPARSITIES], options)],

  batch: (options) =>
    BATCHES.map(([batch, seqLen]) => {
      const asked = ['--sparsity', options.sparsity, '--batch-size', batch, '--seq-len', seqLen];
      return benchCase(`${batch} x ${seqLen}`, options.model, asked, options);
    }),

  size: (options) =>
    (options.sizes ?? SIZES).map(([dim, layers]) => {
      const shape = { dim, layers, hiddenDim: hiddenDimOf(dim), heads: Math.max(1, dim / HEAD_DIM) };
      const run = path.join(options.runs, `size-${dim}-l${layers}`);
      const measured = benchCase(`dim ${dim}`, run, ['--sparsity', `0,${options.sparsity}`], options);
      const { steps, batchSize, hiddenL1 } = options;
      const asked = `${measured.asked}, trained for ${steps} steps of ${batchSize} sequences with hiddenL1 ${hiddenL1}`;
      const measure = async () => {
        trainOnce(run, shape, options);
        return { shape, quality: qualityOf(await readRecords(run)), ...measured.measure() };
      };
      return { ...measured, asked, measure };
    }),

  skips: (options) => [benchCase('skips', options.model, ['--sparsity', options.sparsity, '--skips'], options)],

  l1: (options) =>
    options.l1Runs.map((run) => {
      const measured = benchCase(runName(run), run, ['--sparsity', options.sparsity], options);
      return {
        ...measured,
        measure: async () => ({ quality: qualityOf(await readRecords(run)), ...measured.measure() }),
      };
    }),

  bf16: (options) => options.bf16Runs.map(curveCase),

  'wall-clock': (options) => options.wallClock.map(curveCase),
};

/** 2.75 dim, rounded to whole tiles of 64. */
export function hiddenDimOf(dim) {
  return Math.round((2.75 * dim) / 64) * 64;
}

/** What every case of a part needs: `{ model, text, ... }` named where it is missing. */
export const NEEDS = {
  sparsity: ['model', 'text'],
  batch: ['model', 'text'],
  size: ['runs', 'text'],
  skips: ['model', 'text'],
  l1: ['l1Runs', 'text'],
  bf16: ['bf16Runs'],
  'wall-clock': ['wallClock'],
};

function benchCase(key, model, asked, options) {
  const { rounds, precision, threads, benchText } = options;
  const args = [...asked.map(String), '--repeat', rounds, '--precision', precision, '--threads', threads];
  const measure = () => {
    const { machine, commit, peakProcessBytes, rows } = qsparse([
      'bench',
      'train',
      model,
      '--text',
      benchText,
      ...args,
    ]);
    return { machine, commit, peakProcessBytes, rows: rows.map((row) => ({ ...row, shape: runName(model) })) };
  };
  return { key, asked: [runName(model), ...args].join(' '), measure };
}

/** Nothing to measure: the losses of a finished run. */
function curveCase([name, run]) {
  const measure = async () => {
    const records = await readRecords(run);
    const { machine, backend } = records.findLast(({ type }) => type === 'run');
    return { machine: { text: machine, backend }, quality: qualityOf(records), curve: curveOf(records) };
  };
  return { key: name, asked: `curves of ${runName(run)}`, measure };
}

/** Fresh weights leave half of the gates open: some steps on text give the gates of a model in training. Goes on where it was stopped. */
function trainOnce(run, { dim, layers, hiddenDim, heads }, options) {
  const { steps, text, sparsity, threads, tokenizer, batchSize, hiddenL1 } = options;
  const length = ['--steps', steps, '--threads', threads];
  if (existsSync(path.join(run, 'checkpoints', `step-${String(steps).padStart(6, '0')}`))) return;
  if (existsSync(path.join(run, 'run.json'))) {
    qsparse(['train', '--out', run, '--resume', ...length]);
    return;
  }
  const shape = ['--preset', 'd512-l8', '--dim', dim, '--hidden-dim', hiddenDim, '--layers', layers, '--heads', heads];
  // The rate falls with the width, as it must: too large a one would close gates for good and flatter the speed.
  const rate = ['--lr', 1e-3 * Math.min(1, 512 / dim), '--warmup', Math.floor(steps / 5)];
  const batch = ['--batch-size', batchSize, '--accumulate', 1];
  const method = ['--sparsity', sparsity, '--hidden-l1', hiddenL1, ...batch, ...rate];
  const quiet = ['--validate-every', 0, '--sample-every', 0, '--detail-every', 10, '--save-every', 50, '--keep', 1];
  const words = tokenizer ? ['--tokenizer', tokenizer] : [];
  qsparse(['train', '--text', text, '--out', run, ...shape, ...method, ...quiet, ...words, ...length].map(String));
}
