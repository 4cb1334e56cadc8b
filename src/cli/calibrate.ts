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
import {
  isRelu,
  type ModelConfig,
  POINTS,
  type Point,
  THRESHOLD_PLACES,
  type ThresholdPlace,
} from '../model/config.ts';
import { type AllocatedLayer, GreedySearch } from '../model/greedy-allocation.ts';
import { loadParameters } from '../model/load-model.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { ThresholdCalibration, withoutSparsifier } from '../model/threshold-calibration.ts';
import { Transformer } from '../model/transformer.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { UsageError } from '../util/errors.ts';
import { formatInteger, formatNumber, formatPercent } from '../util/format.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { addCommonOptions, type CommonOptions, parseChoice, parsePositiveInteger } from './shared/common-options.ts';
import { allOrNothing } from './shared/interrupt.ts';
import { Output } from './shared/output.ts';
import { refuseForeign } from './shared/refuse-foreign.ts';
import { textsOrSample } from './shared/sample-text.ts';
import { parseShares } from './shared/sparsity-option.ts';
import type { Column } from './shared/table.ts';
import { addTextFileOptions, encodeTexts, type TextFileOptions } from './shared/text-files.ts';

interface CalibrateOptions extends CommonOptions, TextFileOptions {
  sparsity: number | Partial<Record<ThresholdPlace, number>>;
  allocation: Allocation;
  searchTokens: number;
  maxTokens: number;
  out: string;
}

const ALLOCATIONS = ['uniform', 'greedy'] as const;
type Allocation = (typeof ALLOCATIONS)[number];

/** Tokens of a window; attention over the whole context of a model would take most of the time. */
const WINDOW = 1024;
/** Of one that is searched on: of a few thousand tokens most have others before them and not many. */
const SEARCH_WINDOW = 512;

const HELP = `
MODEL is the directory of a run (its best checkpoint is taken) or of one checkpoint. Its inputs are measured with nothing dropped; OUT
becomes a checkpoint with the same weights, sparsifier threshold and the thresholds in config.json. Nothing is overwritten.
One share is that of the inputs of all projections (TEAL); gate is the activation of the gate in front of up (CATS).
--allocation greedy divides one share among the projections of each block so that its output changes least (TEAL): a search that
takes eighty passes over --search-tokens for a share of 0.5.
Thresholds are fixed: other text may have more zeros or fewer, which qsparse inspect counts.

Examples:
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity 0.4 --out dense-teal40
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity 0.5 --allocation greedy --out dense-teal50
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity qkv=0.4,o=0.4,gateUp=0.4,down=0.6 --out dense-teal
  $ qsparse calibrate runs/dense --text chapter.txt --sparsity gate=0.5 --out dense-cats50`;

const COLUMNS: readonly Column[] = [
  { key: 'layer' },
  ...THRESHOLD_PLACES.map((place) => ({ key: place, format: (value: number) => formatNumber(value) })),
];

const ALLOCATION_COLUMNS: readonly Column[] = [
  { key: 'layer' },
  ...POINTS.map((point) => ({ key: point, format: (value: number) => formatPercent(value) })),
  ...['error', 'uniform'].map((key) => ({ key, format: (value: number) => formatPercent(value) })),
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
    .requiredOption('--out <dir>', 'checkpoint directory to write');
  addTextFileOptions(command, 'text to measure on; .jsonl: a text a line (default: a page of English prose)')
    .option('--max-tokens <n>', 'most tokens of it', parsePositiveInteger('--max-tokens'), 20_480)
    .option(
      '--allocation <name>',
      `of one share among the projections of a block: ${ALLOCATIONS.join(', ')}`,
      parseChoice('--allocation', ALLOCATIONS),
      'uniform',
    )
    .option('--search-tokens <n>', 'tokens that greedy searches on', parsePositiveInteger('--search-tokens'), 1024)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(calibrate);
}

async function calibrate(path: string, options: CalibrateOptions): Promise<void> {
  const output = new Output(options);
  const texts = textsOrSample(options);
  const { sparsity, allocation } = options;
  if (allocation === 'greedy' && typeof sparsity !== 'number') {
    const what = 'divides one share among the points: expected one, got shares by point';
    throw new UsageError('--allocation', `greedy ${what}. Give --sparsity 0.5, say, or leave --allocation out.`);
  }
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
      if (isRelu(config.sparsifier)) {
        const what = `has zeros that its ${config.sparsifier} makes, which are part of its function`;
        throw new UsageError('calibrate', `${directory} ${what}: expected a model that selects, or a dense one.`);
      }
      const ids = encodeTexts(tokenizerOfModel(checkpoint), texts, options.maxTokens);
      if (ids.length === 0) {
        throw new UsageError('--text', 'the text is empty: expected at least 1 token. Give other text.');
      }
      const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
      const found = await measured(checkpoint, config, ids, options, backend, output, signal).finally(() =>
        backend.dispose(),
      );
      const { thresholds } = found;
      const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
      // The one gradient that a threshold on gates has; nothing is trained here.
      const hasGate = thresholds.gate.some((threshold) => threshold > 0);
      const gradient = hasGate ? 'masked' : config.gradient;
      const calibrated = resolveConfig({ ...config, sparsifier: 'threshold', sparsity: none, thresholds, gradient });
      await writeDerivedCheckpoint(options.out, checkpoint, calibrated);
      reportTo(output, options.out, directory, ids.length, found);
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

interface Measured {
  thresholds: Record<ThresholdPlace, number[]>;
  /** By layer, where they were searched for. */
  allocated: AllocatedLayer[] | null;
}

async function measured(
  checkpoint: Checkpoint,
  config: ModelConfig,
  ids: readonly number[],
  { sparsity, allocation, searchTokens }: CalibrateOptions,
  backend: Backend,
  output: Output,
  signal: AbortSignal,
): Promise<Measured> {
  const loaded = loadParameters(checkpoint.path, backend);
  const model = Transformer.create(withoutSparsifier(config), backend, { seed: 0, frozen: true });
  for (const { name, value } of model.stored) value.data.set(loaded.parameters.get(name)!.data);
  loaded.dispose();
  const calibration = new ThresholdCalibration(config);
  const window = Math.min(WINDOW, config.seqLen);
  const firsts = Array.from({ length: Math.ceil(ids.length / window) }, (_, i) => i * window);
  await eachInTurn(firsts, { label: 'measuring', unit: 'windows' }, output, signal, (first) =>
    runOver(model, ids.slice(first, first + window), calibration),
  );
  if (allocation === 'uniform' || typeof sparsity !== 'number') {
    return { thresholds: calibration.thresholds(sharesOf(sparsity)), allocated: null };
  }
  const searchWindow = Math.min(SEARCH_WINDOW, config.seqLen);
  const search = new GreedySearch(model, calibration, ids.slice(0, Math.max(searchTokens, searchWindow)), searchWindow);
  const allocated: AllocatedLayer[] = [];
  const layers = Array.from({ length: config.nLayers }, (_, layer) => layer);
  await eachInTurn(layers, { label: 'searching', unit: 'layers' }, output, signal, () => {
    allocated.push(search.next(sparsity));
  });
  search.dispose();
  return { thresholds: thresholdsOf(allocated, calibration), allocated };
}

/** With progress, and time for Ctrl-C between two of them. */
async function eachInTurn<T>(
  items: readonly T[],
  { label, unit }: { label: string; unit: string },
  output: Output,
  signal: AbortSignal,
  run: (item: T) => void,
): Promise<void> {
  const progress = output.progress();
  try {
    for (const [done, item] of items.entries()) {
      progress.update({ label, done, total: items.length, unit });
      await turnEventLoop();
      signal.throwIfAborted();
      run(item);
    }
  } finally {
    progress.done();
  }
}

function thresholdsOf(
  allocated: readonly AllocatedLayer[],
  calibration: ThresholdCalibration,
): Record<ThresholdPlace, number[]> {
  const at = (point: Point) => allocated.map(({ shares }, layer) => calibration.threshold(point, layer, shares[point]));
  return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down'), gate: allocated.map(() => 0) };
}

function runOver(model: Transformer, window: readonly number[], statistics: ThresholdCalibration): void {
  const shape = { batch: 1, seqLen: window.length };
  const ids = model.pool.take('i32', [window.length]);
  ids.data.set(window);
  model.pool.release(model.hidden(ids, shape, { statistics }));
  model.pool.release(ids);
}

function reportTo(
  output: Output,
  out: string,
  model: string,
  tokens: number,
  { thresholds, allocated }: Measured,
): void {
  const layers = thresholds.qkv.map((_, layer) => {
    const row = Object.fromEntries(THRESHOLD_PLACES.map((place) => [place, thresholds[place][layer]]));
    return { layer, ...row };
  });
  output.line(`${out}: ${model} with thresholds, measured on ${formatInteger(tokens)} tokens\n`);
  output.table(layers, { columns: COLUMNS });
  if (allocated) {
    output.line(
      '\nshares of zeros, and how far they move the output of the block (uniform: the same share at every point)\n',
    );
    const rows = allocated.map(({ shares, error, uniformError }, layer) => ({
      ...{ layer, ...shares, error, uniform: uniformError },
    }));
    output.table(rows, { columns: ALLOCATION_COLUMNS });
  }
  output.line(`\nlook: qsparse inspect ${out}`);
  output.json({ model, out, tokens, thresholds, ...(allocated && { allocated }) });
}
