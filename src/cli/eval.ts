/** `qsparse eval`: how good a model is, on texts and tasks, at one sparsity or several. */

import type { Command } from 'commander';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import { RecordsFile } from '../eval/data/records-file.ts';
import { taskNames } from '../eval/data/task-files.ts';
import {
  type EvalRecord,
  type EvaluateOptions,
  evaluate,
  type PreparedTask,
  type RecordStore,
} from '../eval/evaluate.ts';
import { describeProtocol, type PerplexityProtocol } from '../eval/perplexity.ts';
import { longestOf, prepareText } from '../eval/prepare.ts';
import { openModel } from '../import/open-model.ts';
import { Engine } from '../infer/engine.ts';
import type { LoadedModel } from '../model/load-model.ts';
import { UsageError } from '../util/errors.ts';
import { evalTokenizer } from './eval/eval-tokenizer.ts';
import { modelIdentity } from './eval/model-identity.ts';
import { prepareTask } from './eval/prepare-task.ts';
import { type ProtocolOptions, protocolOf } from './eval/protocol-of.ts';
import { type EvalResult, reportResults } from './eval/report-results.ts';
import {
  addCommonOptions,
  type CommonOptions,
  parseInteger,
  parseList,
  parsePositiveInteger,
  parseShare,
} from './shared/common-options.ts';
import { addEvaluationOptions, type EvaluationOptions } from './shared/evaluation-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { machineText } from './shared/machine.ts';
import { MODEL_ARGUMENT, MODEL_HELP, modelPath } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { givenTexts } from './shared/text-files.ts';

interface EvalOptions extends CommonOptions, EvaluationOptions, ProtocolOptions {
  sparsity?: number[];
  out?: string;
  batch?: number;
  prefixToken?: number;
}

const HELP = `
${MODEL_HELP}
Tasks: ${taskNames().join(', ')}; or the path of a .json file of your own (docs/evaluation.md).
Data are yours to fetch: --data names a folder with the files that the tasks look for, or TASK=PLACE for one task.
Scores are those of lm-evaluation-harness: equal prompts, tokens and metrics. With --out every item is saved as it is done; the same command
again goes on from there.
Examples:
  $ qsparse eval runs/book --text test.txt
  $ qsparse eval model --text wiki.txt --window 1024 --stride 512 --sparsity 0,0.3,0.5,0.6
  $ qsparse eval model --tasks arc_easy,hellaswag --data data/eval --limit 200 --out arc.jsonl
  $ qsparse eval model --tasks gsm8k --data gsm8k/main --shots 5 --json`;

const MOST_SEQUENCES = 32;
/** Of all sequences together. */
const CACHED_TOKENS = 8192;

export function register(program: Command): void {
  const command = program
    .command('eval')
    .description('perplexity and benchmark tasks, at one sparsity or several')
    .argument('<model>', MODEL_ARGUMENT);
  addEvaluationOptions(command)
    .option(
      '--stride <n>',
      'tokens from one window to the next (default: the window)',
      parsePositiveInteger('--stride'),
    )
    .option(
      '--min-context <n>',
      'score tokens with so many before them (default: 1)',
      parsePositiveInteger('--min-context'),
    )
    .option('--prefix', 'the token that begins a text in front of every window')
    .option('--llama-perplexity', 'windows as llama.cpp has them (default --window: 512)')
    .option(
      '--sparsity <list>',
      'in place of the trained one: 0,0.3,0.6',
      parseList('--sparsity', parseShare('--sparsity')),
    )
    .option('--out <file>', 'save every item here (JSON Lines), and go on from what is there')
    .option(
      '--batch <n>',
      'sequences at once (default: 32, fewer where they are long)',
      parsePositiveInteger('--batch'),
    )
    .option(
      '--prefix-token <id>',
      'the id that stands for an empty context, and of --prefix (default: that of the tokenizer)',
      parseInteger('--prefix-token'),
    )
    .addHelpText('after', HELP);
  addCommonOptions(command).action(run);
}

async function run(given: string, options: EvalOptions): Promise<void> {
  if (options.text === undefined && options.tasks === undefined) {
    throw new UsageError('eval', 'nothing to evaluate: expected --text or --tasks. Give one of them or both.');
  }
  refuseOptionsOfTheOther(options);
  const output = new Output(options);
  const path = await modelPath(given, output);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  const interrupt = onInterrupt(() => output.note('stopping after this batch'));
  let records: RecordsFile | null = null;
  try {
    const model = openModel(path, backend);
    const tokenizer = evalTokenizer(model, options.prefixToken);
    const protocol = protocolOf(model.config.seqLen, tokenizer, options);
    const prepared = await prepareAll(model.config.seqLen, tokenizer, protocol, options, output);
    const { kv, prefixToken = null } = options;
    records =
      options.out === undefined ? null : new RecordsFile(options.out, modelIdentity(model, { kv, prefixToken }));
    const engine = engineFor(model, backend, prepared, options);
    const running = { tokenizer, records: records ?? nothingKnown, signal: interrupt.signal };
    const results = await evaluateAll(engine, prepared, options.sparsity ?? [null], running, output);
    const { path: name, step } = model;
    const text =
      options.text === undefined ? null : { text: options.text, ...protocol, words: describeProtocol(protocol) };
    reportResults(output, results, {
      model: name,
      step,
      machine: machineText(),
      backend: backend.description,
      perplexity: text,
    });
    if (interrupt.signal.aborted) reportStopped(output, records);
  } finally {
    records?.close();
    interrupt.dispose();
    backend.dispose();
  }
}

/** What is said of tasks where there are none, or of a text, was meant otherwise. */
function refuseOptionsOfTheOther(options: EvalOptions): void {
  const refuse = (of: '--text' | '--tasks', given: Readonly<Record<string, unknown>>) => {
    const [name] = Object.keys(given).filter((key) => given[key] !== undefined);
    if (name) throw new UsageError(name, `belongs to ${of}, which is not given. Leave it out, or give ${of}.`);
  };
  const { textField, stride, minContext, prefix, llamaPerplexity, window, maxTokens } = options;
  if (options.text === undefined) {
    refuse('--text', {
      '--text-field': textField,
      '--stride': stride,
      '--min-context': minContext,
      '--prefix': prefix,
    });
    refuse('--text', { '--llama-perplexity': llamaPerplexity, '--window': window, '--max-tokens': maxTokens });
  }
  const { shots, shotsData, limit, data } = options;
  if (options.tasks === undefined)
    refuse('--tasks', { '--shots': shots, '--shots-data': shotsData, '--limit': limit, '--data': data });
}

function reportStopped(output: Output, records: RecordsFile | null): void {
  output.note(records ? `stopped; ${records.size} items are in ${records.path}, the same command goes on` : 'stopped');
  process.exitCode = INTERRUPTED_EXIT_CODE;
}

async function prepareAll(
  seqLen: number,
  tokenizer: ReturnType<typeof evalTokenizer>,
  protocol: PerplexityProtocol,
  options: EvalOptions,
  output: Output,
): Promise<PreparedTask[]> {
  const prepared: PreparedTask[] = [];
  const texts = givenTexts(options);
  if (texts !== undefined) {
    prepared.push(prepareText(texts, tokenizer, protocol, { name: 'perplexity', mostTokens: options.maxTokens }));
  }
  const progress = output.progress();
  for (const name of options.tasks ?? []) {
    const onPrepare = (done: number, total: number) =>
      progress.update({ label: `reading ${name}`, done, total, unit: 'items' });
    prepared.push(await prepareTask(name, options, tokenizer, seqLen, onPrepare));
  }
  progress.done();
  const twice = prepared.find(({ name }, i) => prepared.findIndex((other) => other.name === name) < i);
  if (twice) throw new UsageError('--tasks', `${twice.name} is given twice. Name each task once.`);
  return prepared;
}

/** With a cache for the longest sequence that anybody needs, not for the model's whole context. */
function engineFor(
  { config, weights }: LoadedModel,
  backend: Backend,
  prepared: readonly PreparedTask[],
  { batch, kv }: EvalOptions,
): Engine {
  const maxTokens = Math.min(config.seqLen, Math.max(...prepared.map(longestOf)));
  return new Engine(config, weights, backend, {
    maxTokens,
    maxSequences: batch ?? defaultBatch(maxTokens),
    kvType: kv,
  });
}

async function evaluateAll(
  engine: Engine,
  prepared: readonly PreparedTask[],
  sparsities: readonly (number | null)[],
  running: Pick<EvaluateOptions, 'tokenizer' | 'records'> & { signal: AbortSignal },
  output: Output,
): Promise<EvalResult[]> {
  const progress = output.progress();
  const results: EvalResult[] = [];
  for (const sparsity of sparsities) {
    for (const task of prepared) {
      if (running.signal.aborted) return results;
      const label = sparsity === null ? task.name : `${task.name} at ${sparsity}`;
      const onProgress = (done: number, total: number) => progress.update({ label, done, total, unit: 'items' });
      engine.statistics.clear();
      const result = await evaluate(engine, task, { ...running, sparsity, onProgress });
      results.push({ ...result, zeros: result.tokens === 0 ? null : engine.statistics.modelSparsity() });
      progress.done();
    }
  }
  return results;
}

/** Short sequences leave a run of the model half empty unless there are many; of long ones a few fill it, and each takes memory for its cache. */
function defaultBatch(maxTokens: number): number {
  return Math.max(1, Math.min(MOST_SEQUENCES, Math.floor(CACHED_TOKENS / maxTokens)));
}

/** Without --out every item is computed. */
const nothingKnown: RecordStore = { find: (): EvalRecord | undefined => undefined, add: () => {} };
