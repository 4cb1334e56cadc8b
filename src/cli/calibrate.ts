/** `qsparse calibrate`: a model that was trained dense becomes one that drops what is below a threshold, found on text. */

import type { Command } from 'commander';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import {
  type Checkpoint,
  checkDerivedTarget,
  findCheckpoint,
  readCheckpoint,
  writeDerivedCheckpoint,
} from '../formats/checkpoint-directory.ts';
import { holdsPackedModel } from '../formats/packed-directory.ts';
import { configOf } from '../model/checkpoint-parameters.ts';
import { type ModelConfig, POINTS, resolveConfig, THRESHOLD_PLACES, type ThresholdPlace } from '../model/config.ts';
import { loadParameters } from '../model/load-model.ts';
import { ThresholdCalibration, withoutSparsifier } from '../model/threshold-calibration.ts';
import { Transformer } from '../model/transformer.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { UsageError } from '../util/errors.ts';
import { formatInteger, formatNumber } from '../util/format.ts';
import { addCommonOptions, type CommonOptions, parsePositiveInteger } from './shared/common-options.ts';
import { allOrNothing } from './shared/interrupt.ts';
import { Output } from './shared/output.ts';
import { refuseForeign } from './shared/refuse-foreign.ts';
import { textOrSample } from './shared/sample-text.ts';
import { parseShares } from './shared/sparsity-option.ts';
import type { Column } from './shared/table.ts';

interface CalibrateOptions extends CommonOptions {
  text?: string;
  sparsity: number | Partial<Record<ThresholdPlace, number>>;
  maxTokens: number;
  out: string;
}

const HELP = `
MODEL is the directory of a run (its best checkpoint is taken) or of one checkpoint. Its inputs are measured with nothing dropped; OUT
becomes a checkpoint with the same weights, sparsifier threshold and the thresholds in config.json. Nothing is overwritten.
One share is that of the inputs of all projections (TEAL); gate is the activation of the gate in front of up (CATS).
Thresholds are fixed: other text may have more zeros or fewer, which qsparse inspect counts.

Examples:
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity 0.4 --out dense-teal40
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity qkv=0.4,o=0.4,gateUp=0.4,down=0.6 --out dense-teal
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity gate=0.5 --out dense-cats50`;

const COLUMNS: readonly Column[] = [
  { key: 'layer' },
  ...THRESHOLD_PLACES.map((place) => ({ key: place, format: (value: number) => formatNumber(value) })),
];

export function register(program: Command): void {
  const command = program
    .command('calibrate')
    .description('thresholds from text that make a dense model sparse')
    .argument('<model>', 'directory of a run or a checkpoint')
    .requiredOption(
      '--sparsity <shares>',
      'wanted share of zeros: 0.4, or qkv=0.4,down=0.6',
      parseShares('--sparsity', THRESHOLD_PLACES),
    )
    .requiredOption('--out <dir>', 'checkpoint directory to write')
    .option('--text <file>', 'text to measure on (default: a page of English prose)')
    .option('--max-tokens <n>', 'most tokens of it', parsePositiveInteger('--max-tokens'), 20_480)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(calibrate);
}

async function calibrate(path: string, options: CalibrateOptions): Promise<void> {
  const output = new Output(options);
  const text = textOrSample(options.text);
  const shares = sharesOf(options.sparsity);
  checkDerivedTarget(options.out);
  refuseForeign(path, 'calibrate');
  const directory = findCheckpoint(path, 'best');
  if (holdsPackedModel(directory)) {
    const advice = 'Name the run or checkpoint that it was made of';
    throw new UsageError('calibrate', `${directory} is a packed model: expected a checkpoint of training. ${advice}.`);
  }
  const checkpoint = readCheckpoint(directory);
  try {
    await allOrNothing(output, async (signal) => {
      const config = configOf(checkpoint);
      const ids = tokenizerOfModel(checkpoint).encode(text).slice(0, options.maxTokens);
      if (ids.length === 0) {
        throw new UsageError('--text', 'the text is empty: expected at least 1 token. Give other text.');
      }
      const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
      const thresholds = await measured(checkpoint, config, ids, shares, backend, output, signal).finally(() =>
        backend.dispose(),
      );
      const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
      // The one gradient that a threshold on gates has; nothing is trained here.
      const gradient = shares.gate ? 'masked' : config.gradient;
      const calibrated = resolveConfig({ ...config, sparsifier: 'threshold', sparsity: none, thresholds, gradient });
      await writeDerivedCheckpoint(options.out, checkpoint, calibrated);
      reportTo(output, options.out, directory, ids.length, thresholds);
    });
  } finally {
    checkpoint.close();
  }
}

/** One number: all four points alike (TEAL); the gate where it is named (CATS). */
function sharesOf(sparsity: CalibrateOptions['sparsity']): Partial<Record<ThresholdPlace, number>> {
  if (typeof sparsity !== 'number') return sparsity;
  return Object.fromEntries(POINTS.map((point) => [point, sparsity])) as Record<ThresholdPlace, number>;
}

async function measured(
  checkpoint: Checkpoint,
  config: ModelConfig,
  ids: readonly number[],
  shares: Partial<Record<ThresholdPlace, number>>,
  backend: Backend,
  output: Output,
  signal: AbortSignal,
): Promise<Record<ThresholdPlace, number[]>> {
  const loaded = loadParameters(checkpoint.path, backend);
  const model = Transformer.create(withoutSparsifier(config), backend, { seed: 0 });
  for (const { name, value } of model.parameters) value.data.set(loaded.parameters.get(name)!.data);
  loaded.dispose();
  const calibration = new ThresholdCalibration(config);
  const progress = output.progress();
  try {
    for (let first = 0; first < ids.length; first += config.seqLen) {
      progress.update({ label: 'measuring', done: first, total: ids.length, unit: 'tokens' });
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      runOver(model, ids.slice(first, first + config.seqLen), calibration);
    }
  } finally {
    progress.done();
  }
  return calibration.thresholds(shares);
}

function runOver(model: Transformer, window: readonly number[], statistics: ThresholdCalibration): void {
  const shape = { batch: 1, seqLen: window.length };
  const ids = model.pool.take('i32', [window.length]);
  ids.data.set(window);
  model.pool.release(model.logits(ids, shape, { statistics }));
  model.pool.release(ids);
}

function reportTo(
  output: Output,
  out: string,
  model: string,
  tokens: number,
  thresholds: Record<ThresholdPlace, number[]>,
): void {
  const layers = thresholds.qkv.map((_, layer) => {
    const row = Object.fromEntries(THRESHOLD_PLACES.map((place) => [place, thresholds[place][layer]]));
    return { layer, ...row };
  });
  output.line(`${out}: ${model} with thresholds, measured on ${formatInteger(tokens)} tokens\n`);
  output.table(layers, { columns: COLUMNS });
  output.line(`\nlook: qsparse inspect ${out}`);
  output.json({ model, out, tokens, thresholds });
}
