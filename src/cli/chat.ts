/** `qsparse chat`: a conversation with a model in the terminal, or line by line through a pipe. */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import { Engine } from '../infer/engine.ts';
import type { FinishReason } from '../infer/generation.ts';
import { Sampler } from '../infer/sampler.ts';
import { Scheduler } from '../infer/scheduler.ts';
import type { ModelConfig } from '../model/config.ts';
import { type SparsityOverride, selectionRules } from '../model/sparsity-override.ts';
import type { KvType } from '../tensor/kv-slots.ts';
import { QSparseError } from '../util/errors.ts';
import { formatDuration, formatNumber, formatPercent } from '../util/format.ts';
import { CHAT_COMMANDS, type ChatInput, parseChatInput } from './chat/chat-input.ts';
import { openChatModel } from './chat/chat-model.ts';
import { type Answer, Conversation } from './chat/conversation.ts';
import { type LineReader, pipeLines, TerminalLines } from './chat/line-reader.ts';
import { chatForm } from './shared/chat-form.ts';
import { addCommonOptions, type CommonOptions, parsePositiveInteger } from './shared/common-options.ts';
import { onInterrupt } from './shared/interrupt.ts';
import { kvOption } from './shared/kv-option.ts';
import { MODEL_ARGUMENT, MODEL_HELP, modelPath } from './shared/model-argument.ts';
import { Output } from './shared/output.ts';
import { addSamplingOptions, type SamplingOptions } from './shared/sampling-options.ts';
import { parseSparsity } from './shared/sparsity-option.ts';
import { isTerminal, paint, printable } from './shared/terminal.ts';

interface ChatOptions extends CommonOptions, SamplingOptions {
  system?: string;
  template?: string;
  context: number;
  maxTokens: number;
  sparsity?: SparsityOverride;
  kv: KvType;
}

/** Room for a long conversation; models of 131,072 tokens would reserve gigabytes for a few lines. */
const DEFAULT_CONTEXT = 4096;

const HELP = `
${MODEL_HELP}
It has a chat template, or is given one.
Ctrl-C stops an answer; at the prompt, twice ends the conversation. After each answer: its tokens and their rate, the prompt with how much of it was
in the cache and the time until the first token, and the share of the weights that zeros skipped.
In a pipe every line is a question; the answers go to stdout, everything else to stderr. With --json there is one object at the end.

At the prompt:
${CHAT_COMMANDS.map(({ name, does }) => `  ${name.padEnd(14)} ${does}`).join('\n')}

Examples:
  $ qsparse chat models/smollm2 --system "You answer in one sentence."
  $ qsparse chat models/smollm2 --sparsity 0.4 --temperature 0
  $ printf 'Who wrote Faust?\\nWhen?\\n' | qsparse chat models/smollm2 --json
  $ qsparse chat runs/book --template plain`;

export function register(program: Command): void {
  const command = program
    .command('chat')
    .description('talk with a model that was made for conversations')
    .argument('<model>', MODEL_ARGUMENT)
    .option('--system <text>', 'what the model is told before the conversation')
    .option('--template <name>', "plain, or a file with a Jinja template, in place of the model's own")
    .option('--context <n>', 'most tokens of a conversation', parsePositiveInteger('--context'), DEFAULT_CONTEXT)
    .option('--max-tokens <n>', 'most tokens of an answer', parsePositiveInteger('--max-tokens'), 1024);
  addSamplingOptions(command)
    .option('--sparsity <shares>', 'in place of the trained one: 0.6, or qkv=0.6,down=0.9', parseSparsity('--sparsity'))
    .addOption(kvOption())
    .addHelpText('after', HELP);
  addCommonOptions(command).action(chat);
}

async function chat(given: string, options: ChatOptions): Promise<void> {
  const output = new Output(options);
  const path = await modelPath(given, output);
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    const { model, tokenizer } = openChatModel(path, backend);
    const form = chatForm(options.template, tokenizer.config, model.path);
    const maxTokens = Math.min(options.context, model.config.seqLen);
    const engine = new Engine(model.config, model.weights, backend, { kvType: options.kv, maxTokens });
    const scheduler = new Scheduler(engine);
    const conversation = new Conversation(scheduler, tokenizer, form, options.system ?? null);
    const session = new Session({ output, engine, conversation, options });
    if (process.stdin.isTTY) {
      output.note(`${backend.description}; context ${maxTokens} tokens; /help lists what can be typed`);
    }
    await session.run(linesOf(output));
    scheduler.dispose();
    output.json({
      model: model.path,
      step: model.step,
      backend: backend.description,
      messages: conversation.messages,
      answers: session.answers,
    });
  } finally {
    backend.dispose();
  }
}

function linesOf(output: Output): LineReader {
  const { stdin, stdout, stderr } = process;
  if (!stdin.isTTY) return pipeLines(stdin);
  const screen = isTerminal(stdout) && !output.isJson ? stdout : stderr;
  const onFirstInterrupt = () => output.note('Ctrl-C again, or /exit, ends the conversation');
  return new TerminalLines(stdin, screen, paint('bold', '> ', screen), onFirstInterrupt);
}

/** What is measured of one answer. */
interface AnswerRecord {
  text: string;
  finishReason: FinishReason;
  promptTokens: number;
  cachedTokens: number;
  tokens: number;
  promptMs: number;
  /** After the first token, whose time is the prompt's; NaN where there is no other. */
  tokensPerSecond: number;
  sparsity: number;
}

interface SessionParts {
  output: Output;
  engine: Engine;
  conversation: Conversation;
  options: ChatOptions;
}

/** The questions of one conversation and what they are answered with. */
class Session {
  readonly answers: AnswerRecord[] = [];
  readonly #output: Output;
  readonly #engine: Engine;
  readonly #conversation: Conversation;
  readonly #options: ChatOptions;
  #sparsity: SparsityOverride | undefined;

  /** Throws UsageError for a sparsity that the model cannot take. */
  constructor({ output, engine, conversation, options }: SessionParts) {
    this.#output = output;
    this.#engine = engine;
    this.#conversation = conversation;
    this.#options = options;
    this.#setSparsity(options.sparsity, engine.config);
  }

  /** Until the lines end, or nobody reads the answers any more. On a terminal a mistake is told; in a pipe it ends the command. */
  async run(lines: LineReader): Promise<void> {
    const onTerminal = lines instanceof TerminalLines;
    const close = () => lines.close();
    process.on('SIGTERM', close);
    try {
      while (process.stdout.writable) {
        const line = await lines.next();
        if (line === null) return;
        try {
          if (!(await this.#take(parseChatInput(line)))) return;
        } catch (error) {
          if (!onTerminal || !(error instanceof QSparseError)) throw error;
          this.#output.warn(error.message);
        }
      }
    } finally {
      process.off('SIGTERM', close);
      lines.close();
    }
  }

  /** false: the conversation is over. */
  async #take(input: ChatInput): Promise<boolean> {
    if (input.kind === 'exit') return false;
    if (input.kind === 'question') await this.#answer(input.text);
    if (input.kind === 'help')
      for (const { name, does } of CHAT_COMMANDS) this.#output.note(`${name.padEnd(14)} ${does}`);
    if (input.kind === 'reset') {
      this.#conversation.reset();
      this.#output.note('the conversation is forgotten');
    }
    if (input.kind === 'sparsity') {
      this.#setSparsity(input.sparsity, this.#engine.config);
      const shares = input.sparsity === undefined ? 'as trained' : JSON.stringify(input.sparsity);
      this.#output.note(`sparsity: ${shares.replaceAll('"', '')}`);
    }
    return true;
  }

  #setSparsity(sparsity: SparsityOverride | undefined, config: ModelConfig): void {
    selectionRules(config, sparsity);
    this.#sparsity = sparsity;
  }

  async #answer(question: string): Promise<void> {
    const { maxTokens, seed = 0, temperature, topK, topP, minP } = this.#options;
    const interrupt = onInterrupt();
    this.#engine.statistics.clear();
    try {
      const pieces = this.#conversation.ask(question, {
        sampler: new Sampler({ temperature, topK, topP, minP, seed: seed + this.answers.length }),
        maxTokens,
        signal: interrupt.signal,
        ...(this.#sparsity === undefined ? {} : { sparsity: this.#sparsity }),
      });
      this.#record(await this.#print(pieces));
    } finally {
      interrupt.dispose();
    }
  }

  async #print(pieces: AsyncGenerator<string, Answer>): Promise<Answer> {
    const onTerminal = isTerminal(process.stdout);
    for (;;) {
      const next = await pieces.next();
      if (next.done) {
        if (!this.#output.isJson) this.#output.write('\n');
        return next.value;
      }
      if (!this.#output.isJson) this.#output.write(onTerminal ? printable(next.value) : next.value);
    }
  }

  #record({ text, finishReason, usage }: Answer): void {
    const { promptTokens, cachedTokens, tokens, promptMs, generateMs } = usage;
    const tokensPerSecond = tokens > 1 ? (1000 * (tokens - 1)) / generateMs : Number.NaN;
    const sparsity = this.#engine.statistics.modelSparsity();
    this.answers.push({ text, finishReason, promptTokens, cachedTokens, tokens, promptMs, tokensPerSecond, sparsity });
    const rate = Number.isFinite(tokensPerSecond) ? `, ${formatNumber(tokensPerSecond)}/s` : '';
    const prompt = `prompt ${promptTokens}, ${cachedTokens} cached, ${formatDuration(promptMs / 1000)}`;
    this.#output.note(
      `${tokens} ${tokens === 1 ? 'token' : 'tokens'}${rate}; ${prompt}; ${formatPercent(sparsity)} skipped${ENDED[finishReason]}`,
    );
  }
}

const ENDED: Readonly<Record<FinishReason, string>> = {
  stop: '',
  length: '; --max-tokens',
  context: '; context full: /reset',
  aborted: '; stopped',
};
