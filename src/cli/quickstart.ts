/**
 * `qsparse quickstart`: the main job from end to end, on books that come with the package.
 *
 * In this order: calibrate the number of steps; train the sparse model and its dense twin in turns; train the sparse one to
 * its end; measure decoding; print the table and samples; write the report. Everything lies in one directory and can be
 * used by the other commands afterwards.
 */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import { lockRunDirectory } from '../formats/run-lock.ts';
import { generateText } from '../infer/generate-text.ts';
import { Sampler } from '../infer/sampler.ts';
import { buildReport } from '../report/build-report.ts';
import { readRun } from '../report/read-metrics.ts';
import type { ValidationRecord } from '../train/metrics.ts';
import { holdsRun, type RunSettings, runPaths } from '../train/run-directory.ts';
import { TrainingRun } from '../train/training-run.ts';
import { UsageError } from '../util/errors.ts';
import { formatCount, formatDuration, formatPercent, formatRate } from '../util/format.ts';
import { unpackBooks } from './quickstart/books.ts';
import { decodeInTurns, engineOf, type Pair, trainInTurns } from './quickstart/comparison.ts';
import { knownShare, wordsOf } from './quickstart/known-words.ts';
import { calibratedSteps, type QuickstartSettings, quickstartSettings, SPARSITY } from './quickstart/settings.ts';
import { addCommonOptions, type CommonOptions, parseNumber } from './shared/common-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { machineText } from './shared/machine.ts';
import { Output } from './shared/output.ts';
import type { TableRow } from './shared/table.ts';
import { packageVersion } from './shared/version.ts';
import { type PreparedText, prepareText } from './train/prepare-text.ts';
import { ProgressPrinter } from './training/progress-printer.ts';
import { TextSampler } from './training/text-sampler.ts';

interface QuickstartOptions extends CommonOptions {
  minutes: number;
  denseShare: number;
  out?: string;
}

const HELP = `
Trains a small language model with ${formatPercent(SPARSITY, 0)} zeros at the input of its projections on ten books of the public
domain, and its dense twin for the first fifth of the steps (--dense-share); then shows what the zeros cost in loss and gain in seconds.

Examples:
  $ qsparse quickstart
  $ qsparse quickstart --minutes 10 --out runs/longer`;

const DEFAULT_DIRECTORY = join('runs', 'quickstart');
const PROMPTS = ['The', 'She looked at him and said', 'It was a dark'] as const;
const SAMPLE_TOKENS = 60;

export function register(program: Command): void {
  const command = program
    .command('quickstart')
    .description('train a small model, dense and sparse, and show the difference')
    .option('--minutes <n>', 'about how long to train', parseNumber('--minutes', { min: 0 }), 3)
    .option(
      '--dense-share <share>',
      'share of the steps that the dense twin is trained for, from 0.1',
      parseDenseShare,
      0.2,
    )
    .option('--out <dir>', `where everything goes (default: ${DEFAULT_DIRECTORY}, or the next free name)`)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(quickstart);
}

const parseDenseShare = parseNumber('--dense-share', { min: 0.1, max: 1 });

/** What the command found, as printed and as `--json`. */
interface Result {
  directory: string;
  backend: string;
  machine: string;
  steps: number;
  comparedSteps: number;
  training: Pair;
  decoding: Pair;
  /** Nats per token after the same tokens. */
  validation: { dense: ValidationRecord; sparse: ValidationRecord };
  final: ValidationRecord;
  modelSparsity: number;
  samples: { prompt: string; text: string }[];
  /** Share of the samples' words that occur in the books. */
  knownWords: number;
  report: string;
}

async function quickstart(options: QuickstartOptions): Promise<void> {
  const output = new Output(options);
  const directory = chooseDirectory(options.out);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  mkdirSync(directory, { recursive: true });
  const lock = lockRunDirectory(directory);
  const interrupt = onInterrupt(() => output.note('stopping after this step; Ctrl-C again ends at once'));
  try {
    const result = await runAll(directory, options, backend, interrupt.signal, output);
    output.progress().done();
    if (result === null) {
      const sparse = join(directory, 'sparse');
      output.line(holdsRun(sparse) ? `stopped. To go on: qsparse train --out ${sparse} --resume` : 'stopped.');
      process.exitCode = INTERRUPTED_EXIT_CODE;
      return;
    }
    printResult(output, result);
    output.json(result);
  } finally {
    interrupt.dispose();
    lock.release();
    backend.dispose();
  }
}

/** The directory that was asked for, or the first of quickstart, quickstart-2, ... that holds nothing. */
function chooseDirectory(wanted: string | undefined): string {
  if (wanted !== undefined) {
    if (isFree(wanted)) return wanted;
    throw new UsageError('--out', `${wanted} holds a quickstart; nothing was written. Choose another --out.`);
  }
  let name = DEFAULT_DIRECTORY;
  for (let number = 2; !isFree(name); number++) name = `${DEFAULT_DIRECTORY}-${number}`;
  return name;
}

function isFree(directory: string): boolean {
  return !existsSync(join(directory, 'sparse')) && !existsSync(join(directory, 'dense')) && !holdsRun(directory);
}

async function runAll(
  directory: string,
  options: QuickstartOptions,
  backend: Backend,
  signal: AbortSignal,
  output: Output,
): Promise<Result | null> {
  const paths = unpackBooks(join(directory, 'text'));
  const { seed = 0, denseShare } = options;
  const draft = quickstartSettings(backend, paths, { steps: 100, denseShare }, seed);
  const trainOptions = { ...options, out: join(directory, 'sparse'), resume: false };
  const text = await prepareText(trainOptions, draft.sparse, output);
  if (text === null) return null;
  try {
    if (signal.aborted) return null;
    output.progress().update({ label: 'measuring steps on this machine' });
    const steps = await calibratedSteps(draft, backend, text.data, { seconds: 60 * options.minutes, denseShare });
    const settings = quickstartSettings(backend, paths, { steps, denseShare }, seed);
    output.progress().done();
    printPlan(output, settings, backend, text);
    return await trainAndMeasure(directory, settings, backend, text, signal, output);
  } finally {
    text.data.close();
  }
}

async function trainAndMeasure(
  directory: string,
  settings: QuickstartSettings,
  backend: Backend,
  text: PreparedText,
  signal: AbortSignal,
  output: Output,
): Promise<Result | null> {
  const { comparedSteps } = settings;
  const dense = openRun(join(directory, 'dense'), 'dense', settings.dense, backend, text, output);
  const sparse = openRun(join(directory, 'sparse'), 'sparse', settings.sparse, backend, text, output);
  try {
    output.line(`\nSide by side: ${comparedSteps} steps of the dense twin and of the sparse model, in turns`);
    const training = await trainInTurns(dense.run, sparse.run, comparedSteps, signal);
    if (training === null) return null;
    const validation = { dense: dense.printer.lastValidation!, sparse: sparse.printer.lastValidation! };
    output.progress().done();
    output.line(`\nThe sparse model alone, to step ${settings.sparse.train.steps}`);
    if ((await sparse.run.run({ signal })) !== 'done') return null;
    output.progress().done();
    output.progress().update({ label: 'measuring decoding' });
    const prompt = text.tokenizer.encode(PROMPTS[0]);
    const decoding = await decodeInTurns(dense.run.trainer.model, sparse.run.trainer.model, backend, prompt);
    const samples = await writeSamples(sparse.run, backend, text, signal);
    if (signal.aborted) return null;
    const result: Result = {
      directory,
      backend: backend.description,
      machine: machineText(),
      steps: settings.sparse.train.steps,
      comparedSteps,
      training,
      decoding,
      validation,
      samples,
      final: sparse.printer.lastValidation!,
      modelSparsity: sparse.printer.lastStep!.modelSparsity,
      knownWords: knownShare(samples.map((sample) => sample.text).join('\n'), wordsOf(settings.sparse.text.paths)),
      report: join(directory, 'report.html'),
    };
    dense.run.flush();
    sparse.run.flush();
    await writeReport(result);
    writeFileSync(join(directory, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
    return result;
  } finally {
    for (const { run, sampler } of [dense, sparse]) {
      sampler.dispose();
      run.close();
    }
  }
}

interface OpenRun {
  run: TrainingRun;
  printer: ProgressPrinter;
  sampler: TextSampler;
}

function openRun(
  directory: string,
  name: string,
  { train, text: textSettings, model }: RunSettings,
  backend: Backend,
  text: PreparedText,
  output: Output,
): OpenRun {
  mkdirSync(directory, { recursive: true });
  const config = { ...model, vocabSize: text.tokenizer.vocabSize };
  const printer = new ProgressPrinter(output, train, name);
  const sampler = new TextSampler(config, text.tokenizer, backend, train.seed);
  const run = TrainingRun.open({
    directory,
    settings: { model: config, train, text: textSettings },
    backend,
    data: text.data,
    tokenizer: text.tokenizerText,
    resume: false,
    machine: machineText(),
    version: packageVersion(),
    onRecord: (record) => printer.record(record),
    onValidation: (done, total) => printer.validating(done, total),
    sample: (step, trainer) => sampler.sample(step, trainer),
  });
  return { run, printer, sampler };
}

async function writeSamples(
  run: TrainingRun,
  backend: Backend,
  { tokenizer }: PreparedText,
  signal: AbortSignal,
): Promise<Result['samples']> {
  const engine = engineOf(run.trainer.model, backend);
  const samples: Result['samples'] = [];
  try {
    for (const prompt of PROMPTS) {
      const sampler = new Sampler({ temperature: 0.7, topP: 0.95, seed: run.trainer.config.seed });
      const room = engine.maxTokens - tokenizer.encode(prompt).length;
      const maxTokens = Math.min(SAMPLE_TOKENS, room);
      let text = '';
      for await (const piece of generateText(engine, tokenizer, prompt, { sampler, maxTokens, signal })) text += piece;
      samples.push({ prompt, text });
    }
  } finally {
    engine.dispose();
  }
  return samples;
}

function printPlan(
  output: Output,
  { sparse, comparedSteps }: QuickstartSettings,
  backend: Backend,
  text: PreparedText,
) {
  const { model, train } = sparse;
  const share = formatPercent(SPARSITY, 0);
  output.line(
    `text      ten books, ${text.data.trainTokens} tokens to train on, ${text.data.validationTokens} to validate`,
  );
  output.line(`model     dim ${model.dim}, ${model.nLayers} layers, context ${model.seqLen}; ${share} zeros, ReLU^2`);
  output.line(
    `training  ${train.steps} steps of ${train.batchSize * model.seqLen} tokens; dense twin ${comparedSteps} steps`,
  );
  output.line(`backend   ${backend.name}: ${backend.description}`);
}

function tableRows({ training, decoding, validation }: Result): TableRow[] {
  const ratio = ({ ratio: middle, ratioRange: [low, high] }: Pair) =>
    `${middle.toFixed(2)}x (${low.toFixed(2)}-${high.toFixed(2)})`;
  const difference = validation.sparse.loss - validation.dense.loss;
  return [
    {
      '': 'training',
      dense: formatRate(training.dense, 'tokens'),
      sparse: formatRate(training.sparse, 'tokens'),
      'sparse / dense': ratio(training),
    },
    {
      '': 'decoding',
      dense: formatRate(decoding.dense, 'tokens'),
      sparse: formatRate(decoding.sparse, 'tokens'),
      'sparse / dense': ratio(decoding),
    },
    {
      '': `loss after ${formatCount(validation.dense.tokens)} tokens`,
      dense: `${validation.dense.loss.toFixed(3)} nats`,
      sparse: `${validation.sparse.loss.toFixed(3)} nats`,
      'sparse / dense': `${difference < 0 ? '' : '+'}${difference.toFixed(3)}`,
    },
  ];
}

const TABLE_COLUMNS = ['', 'dense', 'sparse', 'sparse / dense'] as const;

function cellsOf(row: TableRow): string[] {
  return TABLE_COLUMNS.map((column) => String(row[column]));
}

function printResult(output: Output, result: Result): void {
  const { final, samples, directory } = result;
  output.heading('What the model writes');
  for (const { prompt, text } of samples) output.line(`  ${prompt}${text}`.replace(/\n+/g, '\n    '));
  output.line(`  (${formatPercent(result.knownWords, 0)} of these words occur in the books)`);
  output.heading('Dense against sparse');
  output.table(tableRows(result));
  output.line(
    `\nAt the end: validation loss ${final.loss.toFixed(3)} nats (${final.bitsPerByte.toFixed(3)} bits per byte) after ` +
      `${final.tokens} tokens in ${formatDuration(final.seconds)}; ${formatPercent(result.modelSparsity)} of all projection inputs are zero.`,
  );
  output.heading('Where it is, and what next');
  output.line(`  report      ${result.report} (open it in a browser)`);
  output.line(`  checkpoint  ${join(directory, 'sparse')}`);
  output.line(`  npx qsparse generate ${join(directory, 'sparse')} --prompt "The"`);
  output.line(`  npx qsparse inspect ${join(directory, 'sparse')}`);
  output.line('  npx qsparse train --text YOUR_TEXT.txt --out runs/mine');
}

async function writeReport(result: Result): Promise<void> {
  const runs = await Promise.all(
    ['dense', 'sparse'].map((name) => readRun(runPaths(join(result.directory, name)).metrics)),
  );
  const page = buildReport(
    runs.map((run, i) => ({ ...run, name: ['dense', 'sparse'][i] })),
    {
      title: `Quickstart: ${formatPercent(SPARSITY, 0)} zeros against dense`,
      notes: [`${result.machine}; ${result.backend}. Both were trained in turns on the same tokens in the same order.`],
      tables: [{ title: 'Dense against sparse', columns: TABLE_COLUMNS, rows: tableRows(result).map(cellsOf) }],
    },
  );
  writeFileSync(result.report, page);
}
