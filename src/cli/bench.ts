/** `qsparse bench select|product|layout|decode|batch|prefill|train`: dense against sparse in one run. What is measured and how: `bench/`. */

import type { Command } from 'commander';
import type { Backend, Precision } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import type { InferenceBench } from '../bench/bench-inference.ts';
import { type RoundsOptions, rowsOfEach } from '../bench/rounds.ts';
import { readConfig } from '../import/open-model.ts';
import { loadParameters } from '../model/load-model.ts';
import { hasNaturalZeros } from '../ops/gated-hidden.ts';
import { WEIGHT_TYPES, type WeightType } from '../tensor/weight-matrix.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { checkPrecision } from '../train/check-precision.ts';
import { UsageError } from '../util/errors.ts';
import { checkChoice, denseFirst, shapeConfig } from './bench/bench-choice.ts';
import { benchLayout, LAYOUT_COLUMNS } from './bench/bench-layout.ts';
import { benchProduct, PRODUCT_COLUMNS, PRODUCT_SHAPES } from './bench/bench-product.ts';
import { checkResultPath, reportRows } from './bench/bench-report.ts';
import { benchSelect, SELECT_COLUMNS, selectDims } from './bench/bench-select.ts';
import { BENCH_SPARSIFIERS, type BenchSparsifier } from './bench/bench-sparsifiers.ts';
import { benchStoredProduct, STORED_PRODUCT_COLUMNS } from './bench/bench-stored-product.ts';
import { benchTrain, trainColumns } from './bench/bench-train.ts';
import { INFERENCE_COLUMNS } from './bench/inference-columns.ts';
import {
  addInferenceOptions,
  type InferenceCommandOptions,
  parseBatches,
  runInferenceBench,
} from './bench/inference-command.ts';
import type { TrainBenchModel } from './bench/train-stepper.ts';
import { PRECISIONS, skipVariants, sparsityVariants } from './bench/train-variants.ts';
import {
  addCommonOptions,
  type CommonOptions,
  parseChoice,
  parseList,
  parsePositiveInteger,
  parseShare,
} from './shared/common-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { MODEL_ARGUMENT } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { refuseForeign } from './shared/refuse-foreign.ts';
import { textsOrSample } from './shared/sample-text.ts';
import { addTextFileOptions, encodeTexts, type TextFileOptions } from './shared/text-files.ts';

interface BenchOptions extends CommonOptions {
  shape?: string;
  sparsity?: number[];
  repeat: number;
  out?: string;
}

const HELP = `
Every variant is measured once per round, so that all see the same machine; values are medians over rounds, "spread" is
(largest - smallest) / median. Speed-ups are against the best dense path in the same run, selection included.

In train, dense is sparsity 0 with nothing skipped; a 0 in --sparsity is a row of its own, with the natural zeros behind
closed gates skipped. --skips measures what each skip gains: one sparsity with all of them, without each, and with none.

Examples:
  $ qsparse bench decode --shape q300m --sparsity 0,0.4,0.6
  $ qsparse bench decode runs/book
  $ qsparse bench decode --shape tinyllama-1.1b --dtype int8,ternary --sparsity 0.4,0.6
  $ qsparse bench batch --shape smollm2-135m --dtype int8 --batch 1,4,16
  $ qsparse bench train --shape d512-l8 --batch-size 8 --repeat 5
  $ qsparse bench train runs/book --sparsity 0.6 --skips
  $ qsparse bench product --sparsity 0.5 --sparsifier topk,block
  $ qsparse bench select --json --out select.json`;

export function register(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure selection, inference and training, dense against sparse')
    .addHelpText('after', HELP);
  addModelBenchOptions(
    bench.command('select'),
    'what the selection costs, in ns per token',
    'a preset of qsparse train, whose widths are measured (default: 256 to 11008)',
  )
    .option('--sparsifier <list>', SPARSIFIER_HELP, parseSparsifiers)
    .action(runSelect);
  addBenchOptions(bench.command('product'), 'many tokens times one matrix, sparse against the dense GEMM')
    .option('--sparsifier <list>', SPARSIFIER_HELP, parseSparsifiers)
    .option('--dtype <list>', 'matrices as inference stores them instead: f32, bf16, int8, ternary', parseDtypes)
    .option('--tokens <list>', 'with --dtype: numbers of tokens (default: 1,2,4,8,16,32,192)', parseTokenCounts)
    .action(runProduct);
  addBenchOptions(bench.command('layout'), 'the feed-forward fused against by channel, over the share of open gates')
    .option('--shape <name>', SHAPE_HELP)
    .option('--dtype <list>', 'weight types: f32, bf16, int8, ternary (default: int8)', parseDtypes)
    .option('--open-gates <list>', 'shares (default: 0.02,0.05,0.1,0.2,0.3,0.5)', parseOpenGates)
    .action(runLayout);
  addInferenceOptions(
    addModelBenchOptions(bench.command('decode'), 'one sequence, token by token'),
    'tokens of one measurement',
    32,
  ).action(runInference('decode'));
  addInferenceOptions(
    addModelBenchOptions(bench.command('batch'), 'several sequences side by side'),
    'tokens of each in one measurement',
    8,
  )
    .option('--batch <list>', 'numbers of sequences (default: 1,2,4,8,16,32)', parseBatches)
    .action(runInference('batch'));
  addInferenceOptions(addModelBenchOptions(bench.command('prefill'), 'a prompt'), 'tokens of the prompt', 256).action(
    runInference('prefill'),
  );
  const train = addModelBenchOptions(bench.command('train'), 'whole training steps, optimiser included');
  addTextFileOptions(train, 'what a MODEL is trained on here (default: a built-in paragraph)')
    .option('--batch-size <n>', 'sequences of a step', parsePositiveInteger('--batch-size'), 8)
    .option('--seq-len <n>', 'tokens of a sequence (default: of the shape)', parsePositiveInteger('--seq-len'))
    .option('--precision <list>', 'of the products: f32, bf16 or both (default: f32)', parsePrecisions)
    .option('--skips', 'measure what each kind of skipped zeros gains, at one sparsity')
    .action(runTrain);
}

const SPARSIFIER_HELP = 'topk, block (of 32) or both (default: topk)';
const parseSparsifiers = parseList('--sparsifier', parseChoice('--sparsifier', BENCH_SPARSIFIERS));
const TOKEN_COUNTS = [1, 2, 4, 8, 16, 32, 192];
const parseDtypes = parseList('--dtype', parseChoice('--dtype', WEIGHT_TYPES));
const OPEN_SHARES = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5];
const parseOpenGates = parseList('--open-gates', parseShare('--open-gates'));
const parseTokenCounts = parseList('--tokens', parsePositiveInteger('--tokens'));
const parsePrecisions = parseList('--precision', parseChoice('--precision', PRECISIONS));

const SHAPE_HELP = 'a preset of qsparse train with random weights (default: d512-l8)';

/** Those of a bench of a model, or of a shape in its place. */
function addModelBenchOptions(command: Command, description: string, shapeHelp = SHAPE_HELP): Command {
  command.argument('[model]', `${MODEL_ARGUMENT}; instead of --shape`).option('--shape <name>', shapeHelp);
  return addBenchOptions(command, description);
}

function addBenchOptions(command: Command, description: string): Command {
  const sparsity = parseList('--sparsity', parseShare('--sparsity'));
  command
    .description(description)
    .option('--sparsity <list>', 'shares to measure, 0,0.4,0.6; 0 (dense) always comes first', sparsity)
    .option('--repeat <n>', 'rounds', parsePositiveInteger('--repeat'), 5)
    .option('--out <file>', 'write machine, commit and rows as JSON');
  return addCommonOptions(command);
}

async function runSelect(model: string | undefined, options: SelectBenchOptions): Promise<void> {
  checkChoice({ model, shape: options.shape });
  await withBackend(options, async (backend, output, rounds) => {
    // Only the shape of a checkpoint: no weights of it are needed.
    const config = model === undefined ? options.shape && shapeConfig(options.shape) : readConfig(model);
    const { sparsity: sparsities = [0.4, 0.6, 0.8], sparsifier = ['topk'], seed = 0 } = options;
    const dims = selectDims(config || undefined);
    const rows = await benchSelect(backend, dims, sparsities, sparsifier, seed, rounds);
    reportRows('select', rows, { output, columns: SELECT_COLUMNS, backend, out: options.out });
  });
}

function runInference(bench: InferenceBench) {
  return async (model: string | undefined, options: BenchOptions & InferenceCommandOptions): Promise<void> => {
    await withBackend(options, async (backend, output, rounds) => {
      const rows = await runInferenceBench(bench, model, options, backend, rounds);
      reportRows(bench, rows, { output, columns: INFERENCE_COLUMNS, backend, out: options.out });
    });
  };
}

interface SelectBenchOptions extends BenchOptions {
  sparsifier?: BenchSparsifier[];
}

interface ProductBenchOptions extends SelectBenchOptions {
  dtype?: WeightType[];
  tokens?: number[];
}

async function runProduct(options: ProductBenchOptions): Promise<void> {
  await withBackend(options, async (backend, output, rounds) => {
    const seed = options.seed ?? 0;
    if (options.dtype !== undefined) {
      if (options.sparsifier !== undefined) {
        throw new UsageError('--sparsifier', 'products with --dtype select by top-K. Leave one of them out.');
      }
      const sparsities = denseFirst(options.sparsity ?? [0.6]);
      const rows = await rowsOfEach(options.dtype, rounds.signal, (dtype) =>
        benchStoredProduct(backend, dtype, options.tokens ?? TOKEN_COUNTS, sparsities, seed, rounds),
      );
      reportRows('product', rows, { output, columns: STORED_PRODUCT_COLUMNS, backend, out: options.out });
      return;
    }
    if (options.tokens !== undefined) {
      throw new UsageError('--tokens', 'counts those of products with --dtype. Give it too, or leave --tokens out.');
    }
    const [dense, ...sparsities] = denseFirst(options.sparsity ?? [0.5, 0.6, 0.8, 0.9, 0.95]);
    const sparsifiers = options.sparsifier ?? ['topk'];
    const variants = [
      { sparsifier: sparsifiers[0], sparsity: dense },
      ...sparsities.flatMap((sparsity) => sparsifiers.map((sparsifier) => ({ sparsifier, sparsity }))),
    ];
    const rows = await rowsOfEach(PRODUCT_SHAPES, rounds.signal, (shape) =>
      benchProduct(backend, shape, variants, seed, rounds),
    );
    reportRows('product', rows, { output, columns: PRODUCT_COLUMNS, backend, out: options.out });
  });
}

interface LayoutBenchOptions extends BenchOptions {
  dtype?: WeightType[];
  openGates?: number[];
}

async function runLayout(options: LayoutBenchOptions): Promise<void> {
  const { shape = 'd512-l8', sparsity = [0.6], openGates = OPEN_SHARES, seed = 0 } = options;
  await withBackend(options, async (backend, output, rounds) => {
    const rows = await rowsOfEach(options.dtype ?? (['int8'] as const), rounds.signal, (dtype) =>
      benchLayout(backend, shape, dtype, sparsity, openGates, { ...rounds, seed }),
    );
    reportRows('layout', rows, { output, columns: LAYOUT_COLUMNS, backend, out: options.out });
  });
}

interface TrainBenchCommandOptions extends BenchOptions, TextFileOptions {
  batchSize: number;
  seqLen?: number;
  precision?: Precision[];
  skips?: boolean;
}

async function runTrain(model: string | undefined, options: TrainBenchCommandOptions): Promise<void> {
  checkChoice({ model, shape: options.shape });
  if (model === undefined && (options.text ?? options.textField) !== undefined) {
    throw new UsageError('--text', 'random weights are trained on random tokens. Name a MODEL, or leave --text out.');
  }
  await withBackend(options, async (backend, output, rounds) => {
    const { batchSize, precision = ['f32'], seed = 0, skips = false } = options;
    for (const one of precision) checkPrecision(one, backend);
    const variantsFor = (naturalZeros: boolean) =>
      skips
        ? skipVariants(precision, options.sparsity ?? [0.6])
        : sparsityVariants(precision, options.sparsity ?? [0, 0.4, 0.6], { naturalZeros });
    variantsFor(true); // refuses what cannot be measured before the model is read
    const benched = trainModel(model, options, backend);
    const variants = variantsFor(hasNaturalZeros(benched.config.activation));
    const rows = await benchTrain(backend, benched, variants, { ...rounds, batchSize, seed });
    reportRows('train', rows, { output, columns: trainColumns({ gain: skips }), backend, out: options.out });
  });
}

/** A trained model keeps its weights and reads text: how many gates are closed is a matter of both. */
function trainModel(path: string | undefined, options: TrainBenchCommandOptions, backend: Backend): TrainBenchModel {
  const { shape = 'd512-l8', seqLen } = options;
  if (path === undefined) return { name: shape, config: shapeConfig(shape, seqLen), step: null };
  refuseForeign(path, 'bench');
  const loaded = loadParameters(path, backend);
  const { config, parameters, step, dispose } = loaded;
  const texts = textsOrSample(options).map((text) => text.slice(0, MOST_OF_TEXT));
  const ids = encodeTexts(tokenizerOfModel(loaded), texts, MOST_OF_TEXT);
  return { name: path, config: { ...config, ...(seqLen !== undefined && { seqLen }) }, step, parameters, ids, dispose };
}

/** Characters, and tokens of many texts: enough for any batch; the rest would only be tokenised in vain. */
const MOST_OF_TEXT = 2 ** 20;

async function withBackend(
  options: BenchOptions,
  run: (backend: Backend, output: Output, rounds: RoundsOptions) => Promise<void>,
): Promise<void> {
  const output = new Output(options);
  if (options.out !== undefined) checkResultPath(options.out);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  const { signal, dispose } = onInterrupt(() => output.note('stopping after the measurement in hand'));
  try {
    await run(backend, output, { label: 'measuring', repeat: options.repeat, progress: output.progress(), signal });
    if (signal.aborted) process.exitCode = INTERRUPTED_EXIT_CODE;
  } finally {
    dispose();
    backend.dispose();
  }
}
