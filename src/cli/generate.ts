/** `qsparse generate`: continues a prompt with a trained model, streamed. */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import { openModel } from '../import/open-model.ts';
import { Engine } from '../infer/engine.ts';
import { type GenerateTextOptions, generateText, type TextResult } from '../infer/generate-text.ts';
import { measureStepCost } from '../infer/measure-step-cost.ts';
import { Sampler } from '../infer/sampler.ts';
import { Speculation } from '../infer/speculation.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import type { KvType } from '../tensor/kv-slots.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { UsageError } from '../util/errors.ts';
import { formatDuration, formatPercent, formatRate } from '../util/format.ts';
import { allowedTokens, type ConstraintOptions, grammarOf } from './generate/constraint.ts';
import { addCommonOptions, type CommonOptions, parseNumber, parsePositiveInteger } from './shared/common-options.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { kvOption } from './shared/kv-option.ts';
import { MODEL_ARGUMENT, MODEL_HELP, modelPath } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { addSamplingOptions, type SamplingOptions } from './shared/sampling-options.ts';
import { parseSparsity } from './shared/sparsity-option.ts';
import { isTerminal, paint, printable } from './shared/terminal.ts';

interface GenerateOptions extends CommonOptions, SamplingOptions, ConstraintOptions {
  prompt: string;
  maxTokens: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  sparsity?: SparsityOverride;
  kv: KvType;
  speculate?: boolean;
  stop?: string[];
}

const HELP = `
${MODEL_HELP}
In a pipe, only the continuation goes to stdout.
What of JSON Schema --json-schema understands: docs/structured-output.md.
Sampling in this order: repetition, presence and frequency penalty, temperature, top-k, top-p, min-p.

Examples:
  $ qsparse generate runs/book --prompt "Once upon a time"
  $ qsparse generate runs/book --prompt "The end" --temperature 0 --max-tokens 50
  $ qsparse generate runs/book --prompt "The end" --sparsity 0.7 --speculate
  $ qsparse generate model --prompt "A person as JSON: " --json-schema person.json
  $ echo "Dear Sir," | qsparse generate runs/book --prompt - --top-p 0.9 --seed 7 --json`;

const collect = (value: string, values: string[] = []): string[] => [...values, value];

export function register(program: Command): void {
  const command = program
    .command('generate')
    .description('continue a prompt with a trained model')
    .argument('<model>', MODEL_ARGUMENT)
    .requiredOption('--prompt <text>', 'text to continue; - reads it from stdin')
    .option('--max-tokens <n>', 'most tokens to generate', parsePositiveInteger('--max-tokens'), 200);
  addSamplingOptions(command)
    .option(
      '--repetition-penalty <f>',
      'above 1 discourages repeats',
      parseNumber('--repetition-penalty', { min: 0 }),
      1,
    )
    .option(
      '--presence-penalty <x>',
      'taken from the logits of tokens that were generated',
      parseNumber('--presence-penalty'),
      0,
    )
    .option('--frequency-penalty <x>', 'the same for each time that they were', parseNumber('--frequency-penalty'), 0)
    .option('--sparsity <shares>', 'in place of the trained one: 0.6, or qkv=0.6,down=0.9', parseSparsity('--sparsity'))
    .addOption(kvOption())
    .option('--speculate', 'draft tokens from the text itself where that is measured to pay; the text stays the same')
    .option('--json-schema <file>', 'write JSON that this JSON Schema allows, and nothing else')
    .option('--json-object', 'write a JSON object, and nothing else')
    .option('--stop <text>', 'end before this text; may be given several times', collect)
    .addHelpText('after', HELP);
  addCommonOptions(command).action(generate);
}

async function generate(given: string, options: GenerateOptions): Promise<void> {
  const output = new Output(options);
  const path = await modelPath(given, output);
  const prompt = options.prompt === '-' ? await readStdin() : options.prompt;
  const grammar = grammarOf(options);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  const interrupt = onInterrupt();
  try {
    const model = openModel(path, backend);
    const tokenizer = tokenizerOfModel(model);
    const constraint = grammar === null ? {} : { allowed: allowedTokens(grammar, tokenizer, model.config.vocabSize) };
    const sampler = new Sampler({ ...options, seed: options.seed ?? 0, ...constraint });
    const { maxTokens, stop = [], sparsity: override } = options;
    // No more cache than this text can fill: published models have contexts of 100,000 tokens and more.
    const longest = Math.min(model.config.seqLen, tokenizer.encodePrompt(prompt).length + maxTokens);
    const engine = new Engine(model.config, model.weights, backend, { maxTokens: longest, kvType: options.kv });
    const sparsityOption = override === undefined ? {} : { sparsity: override };
    const speculation = options.speculate
      ? { speculation: new Speculation({ costOf: measureStepCost(engine, sparsityOption) }) }
      : {};
    engine.statistics.clear();
    const { text, result } = await stream(output, engine, tokenizer, prompt, {
      sampler,
      maxTokens,
      stop,
      signal: interrupt.signal,
      ...sparsityOption,
      ...speculation,
    });
    const tokensPerSecond = rate(result);
    const sparsity = engine.statistics.modelSparsity();
    if (grammar !== null && result.finishReason !== 'stop') output.note(INCOMPLETE);
    if (isTerminal(process.stderr)) output.note(summary(result, tokensPerSecond, sparsity));
    output.json({
      model: model.path,
      step: model.step,
      backend: backend.description,
      prompt,
      text,
      ...result,
      tokensPerSecond,
      msPerToken: 1000 / tokensPerSecond,
      sparsity,
    });
    if (result.finishReason === 'aborted') process.exitCode = INTERRUPTED_EXIT_CODE;
  } finally {
    interrupt.dispose();
    backend.dispose();
  }
}

/** Prints the text as it comes. On a terminal the prompt stands before it, dim; a pipe gets the continuation alone. */
async function stream(
  output: Output,
  engine: Engine,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateTextOptions,
): Promise<{ text: string; result: TextResult }> {
  const pieces = generateText(engine, tokenizer, prompt, options);
  const onTerminal = isTerminal(process.stdout);
  let text = '';
  for (;;) {
    const next = await pieces.next();
    if (text === '' && !output.isJson && onTerminal) {
      output.write(paint('dim', printable(prompt), process.stdout));
    }
    if (next.done) {
      if (!output.isJson) output.write('\n');
      return { text, result: next.value };
    }
    text += next.value;
    if (!output.isJson) output.write(onTerminal ? printable(next.value) : next.value);
  }
}

/** Tokens per second after the first, whose time is the prompt's; NaN where there is none. */
function rate({ tokens, generateMs }: TextResult): number {
  return tokens > 1 ? (1000 * (tokens - 1)) / generateMs : Number.NaN;
}

function summary(result: TextResult, tokensPerSecond: number, sparsity: number): string {
  const perToken = Number.isFinite(tokensPerSecond)
    ? `, ${formatRate(tokensPerSecond, 'tokens')}, ${formatDuration(1 / tokensPerSecond)} each`
    : '';
  const prompt = `prompt of ${result.promptTokens} in ${formatDuration(result.promptMs / 1000)}`;
  const skipped = `${formatPercent(sparsity)} of the projections skipped`;
  return `${result.tokens} tokens${perToken}; ${prompt}; ${skipped}; ${ENDED[result.finishReason]}`;
}

const INCOMPLETE = 'the text ends before its JSON does: give more --max-tokens, or bounds in the schema';

const ENDED: Readonly<Record<TextResult['finishReason'], string>> = {
  stop: 'ended by itself',
  length: 'reached --max-tokens',
  context: 'the context is full',
  aborted: 'stopped',
};

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY)
    throw new UsageError('generate', '--prompt - reads a pipe, got a terminal. Pipe text into it.');
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) text += decoder.decode(chunk, { stream: true });
  // The line end is the shell's, not the author's.
  return (text + decoder.decode()).replace(/\r?\n$/, '');
}
