/**
 * `qsparse compare A B C...`: models side by side, of any kind and each at a sparsity of its own: quality against the parameters that a token
 * activates and against the seconds that it takes, as one table, one figure and one JSON file.
 *
 * One model after the other is in memory. What is measured of each is compare/measure-model.ts; the figure report/scatter-figure.ts.
 */

import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import { hashTexts } from '../eval/data/hash-texts.ts';
import { RecordsFile } from '../eval/data/records-file.ts';
import type { TaskResult } from '../eval/evaluate.ts';
import { writeFileAtomically } from '../formats/atomic-write.ts';
import { openModel, readConfig } from '../import/open-model.ts';
import { selectionRules } from '../model/sparsity-override.ts';
import { UsageError, withoutPlace } from '../util/errors.ts';
import { formatInteger, formatPercent } from '../util/format.ts';
import { type ComparedModel, comparedModel } from './compare/compared-model.ts';
import { comparisonFigure } from './compare/comparison-figure.ts';
import { type MeasuredModel, type MeasureOptions, measureModel } from './compare/measure-model.ts';
import { modelIdentity } from './eval/model-identity.ts';
import { addCommonOptions, type CommonOptions, parsePositiveInteger } from './shared/common-options.ts';
import { addEvaluationOptions } from './shared/evaluation-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { machineText } from './shared/machine.ts';
import { MODEL_HELP, modelPath } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { textsOrSample } from './shared/sample-text.ts';
import type { TableRow } from './shared/table.ts';
import { givenTexts, type TextFileOptions } from './shared/text-files.ts';

interface CompareOptions extends CommonOptions, TextFileOptions, Omit<MeasureOptions, 'texts' | 'tasks' | 'window'> {
  tasks?: string[];
  window?: number;
  out: string;
}

/** One line of the table. */
export interface ComparedRow extends ComparedModel, MeasuredModel {
  /** Of the vocabulary: perplexities of two tokenizers do not compare. */
  readonly vocabSize: number;
}

const HELP = `
${MODEL_HELP}
MODEL@0.5 is MODEL with half of the inputs of its projections dropped, in place of what it was trained with; MODEL@0 is dense.
--out gets compare.svg, compare.json and, for each model, the records of what was evaluated: the same command goes on from there.
Quality is what qsparse eval measures, activated parameters are those of qsparse inspect (on the text, or a page of English prose), ms a
token those of qsparse bench decode: one sequence, dense and as asked for in turns.

Examples:
  $ qsparse compare runs/dense runs/sparse --text test.txt
  $ qsparse compare model.gguf@0 model.gguf@0.4 model.gguf@0.6 runs/converted --text wiki.txt --max-tokens 20000
  $ qsparse compare A B --tasks arc_easy,hellaswag --data data/eval --limit 200 --out arc`;

export function register(program: Command): void {
  const command = program
    .command('compare')
    .description('quality of several models against activated parameters and seconds a token')
    .argument('<model...>', 'models, each with its sparsity behind an @ where it is not its own');
  addEvaluationOptions(command)
    .option('--out <folder>', 'where figure, numbers and records go', 'comparison')
    .option('--decode-tokens <n>', 'tokens of one measurement of speed', parsePositiveInteger('--decode-tokens'), 32)
    .option('--repeat <n>', 'rounds of it', parsePositiveInteger('--repeat'), 5)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(compare);
}

async function compare(given: string[], options: CompareOptions): Promise<void> {
  if (options.text === undefined && options.tasks === undefined) {
    throw new UsageError('compare', 'nothing to compare by: expected --text or --tasks. Give one of them or both.');
  }
  const compared = given.map(comparedModel);
  const twice = given.find((name, i) => given.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError('compare', `${twice} is given twice. Name each model once.`);
  const output = new Output(options);
  const texts = givenTexts(options);
  const located: LocatedModel[] = [];
  for (const one of compared) located.push({ ...one, path: await modelPath(one.model, output) });
  const measured = { ...options, texts, tasks: options.tasks ?? [], window: commonWindow(located, options.window) };
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  const interrupt = onInterrupt(() => output.note('stopping after this batch'));
  try {
    mkdirSync(join(options.out, 'records'), { recursive: true });
    const rows: ComparedRow[] = [];
    for (const one of located) {
      if (interrupt.signal.aborted) break;
      output.note(one.given);
      rows.push(await measureOne(one, backend, measured, output, interrupt.signal));
    }
    report(output, rows, measured, options.text, backend);
    if (interrupt.signal.aborted) {
      output.note(`stopped; what was evaluated is in ${options.out}, the same command goes on`);
      process.exitCode = INTERRUPTED_EXIT_CODE;
    }
  } finally {
    interrupt.dispose();
    backend.dispose();
  }
}

interface LocatedModel extends ComparedModel {
  readonly path: string;
}

/**
 * The window of all perplexities: what is given, else the largest that fits every model, for more context makes any text more probable. Looks at the models before anything is measured: throws
 * UsageError for a context that is too short and for a share where a model takes none, FormatError for what is no model.
 */
function commonWindow(models: readonly LocatedModel[], given: number | undefined): number {
  let window = given ?? WINDOW;
  for (const { model, path, sparsity } of models) {
    const config = readConfig(path);
    try {
      selectionRules(config, sparsity ?? undefined);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${model}@${sparsity}`, withoutPlace(error.message), { cause: error });
    }
    if (given !== undefined && given > config.seqLen) {
      throw new UsageError('--window', `${model} has a context of ${config.seqLen} tokens, got ${given}. Give fewer.`);
    }
    window = Math.min(window, config.seqLen);
  }
  return window;
}

async function measureOne(
  { path: place, ...one }: LocatedModel,
  backend: Backend,
  options: MeasureOptions & Pick<CompareOptions, 'out'>,
  output: Output,
  signal: AbortSignal,
): Promise<ComparedRow> {
  const model = openModel(place, backend);
  const { path, config } = model;
  try {
    const identity = modelIdentity(model, { kv: options.kv, prefixToken: null });
    // One file for each model, whatever the sparsity: records say theirs.
    const name = `${basename(path)}-${hashTexts([JSON.stringify(identity)])}.jsonl`;
    const records = new RecordsFile(join(options.out, 'records', name), identity);
    try {
      const { sparsity } = one;
      const sample = options.texts ?? textsOrSample({});
      const measuring = { sparsity, records, signal, sample, progress: output.progress() };
      const decodeTokens = Math.max(1, Math.min(options.decodeTokens, config.seqLen - CONTEXT_TOKENS));
      return {
        ...one,
        vocabSize: config.vocabSize,
        ...(await measureModel(model, backend, { ...options, decodeTokens }, measuring)),
      };
    } finally {
      records.close();
    }
  } finally {
    model.dispose();
  }
}

/** Of a perplexity, unless another is given. */
const WINDOW = 1024;
/** In the cache before the clock of `bench decode` starts. */
const CONTEXT_TOKENS = 16;

function report(
  output: Output,
  rows: readonly ComparedRow[],
  { out, window, maxTokens }: MeasureOptions & Pick<CompareOptions, 'out'>,
  file: string | undefined,
  backend: Backend,
): void {
  const text = file === undefined ? { text: null } : { text: file, window, maxTokens: maxTokens ?? null };
  const frame = { machine: machineText(), backend: backend.description, ...text, models: rows };
  const figure = join(out, 'compare.svg');
  writeFileAtomically(join(out, 'compare.json'), `${JSON.stringify(frame, null, 1)}\n`);
  writeFileAtomically(figure, comparisonFigure(rows));
  if (file !== undefined) output.line(`${file}: windows of ${formatInteger(window)} tokens side by side`);
  output.line(`on ${frame.machine}; ${frame.backend}`);
  output.line();
  output.table(rows.map(tableRow));
  output.line(`\n${figure}: quality against activated parameters and against ms a token`);
  output.json({ ...frame, figure });
}

function tableRow({ given, activated, parameters, zeros, decode, dense, quality }: ComparedRow): TableRow {
  const million = (count: number) => (count / 1e6).toFixed(2);
  return {
    model: given,
    ...Object.assign({}, ...quality.map(qualityCells)),
    zeros: zeros === undefined ? '-' : formatPercent(zeros),
    'activated M': activated === undefined ? '-' : million(activated),
    'of M': million(parameters),
    'ms/token': decode === undefined ? '-' : decode.msPerToken.toFixed(3),
    'over dense': decode === undefined || dense === undefined ? '-' : (dense.msPerToken / decode.msPerToken).toFixed(2),
  };
}

/** Of a task the metric that it names first, with its standard error. */
function qualityCells({ task, isComplete, perplexity, metrics }: TaskResult): TableRow {
  const note = isComplete ? '' : ' (partly)';
  if (perplexity !== null) {
    const { natsStderr } = perplexity;
    const error = natsStderr === null ? '' : ` ± ${(natsStderr * perplexity.perplexity).toFixed(3)}`;
    return {
      perplexity: `${perplexity.perplexity.toFixed(3)}${error}${note}`,
      'bits/byte': perplexity.bitsPerByte.toFixed(4),
    };
  }
  const [mean] = Object.values(metrics);
  if (mean === undefined) return { [task]: '-' };
  return { [task]: `${mean.value.toFixed(4)} ± ${mean.stderr?.toFixed(4) ?? '-'}${note}` };
}
