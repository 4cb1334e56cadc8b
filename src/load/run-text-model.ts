/**
 * runTextModel: an engine, a tokenizer and the form of a conversation as one TextModel in this thread; and what a token kept and took, measured
 * beside its text.
 *
 * One text at a time, so that the counts and clocks of the engine are those of its tokens.
 */

import type { Backend } from '../backend.ts';
import { ChatTemplate } from '../chat/chat-template.ts';
import { PLAIN_STOPS, PLAIN_TEMPLATE } from '../chat/plain-template.ts';
import { Engine } from '../infer/engine.ts';
import { type GenerateOptions, generateTokens } from '../infer/generate-tokens.ts';
import type { FinishReason } from '../infer/generation.ts';
import { Sampler, type SamplerOptions } from '../infer/sampler.ts';
import { StopStrings } from '../infer/stop-strings.ts';
import type { ZeroCounts } from '../infer/zero-counts.ts';
import { type ModelConfig, POINTS } from '../model/config.ts';
import { blockParameters, parametersAt } from '../model/flops.ts';
import { countParameters } from '../model/parameters.ts';
import { ffnsOf, type ModelWeights } from '../model/weights.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { BusyError, UsageError } from '../util/errors.ts';
import { KernelParts } from './kernel-parts.ts';
import type {
  PartsMs,
  TextModel,
  TextModelInfo,
  TextOptions,
  TextPiece,
  TextPrompt,
  TextSummary,
} from './text-model.ts';

/** A model in a backend's memory. Whoever runs it disposes of all of it. */
export interface TextModelParts {
  readonly name: string;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly tokenizer: Tokenizer;
  /** Of the weights. */
  readonly bytes: number;
  readonly backend: Backend;
  /** Frees the weights. */
  dispose(): void;
}

/** Of key and value, in every layer, for every position: what is beyond this a caller asks for. */
const DEFAULT_CONTEXT_TOKENS = 4096;

/** Throws UsageError for a context that the model does not have. */
export function runTextModel(
  parts: TextModelParts,
  { contextTokens }: { contextTokens?: number | undefined } = {},
): TextModel {
  return new RunningTextModel(parts, contextTokens ?? Math.min(parts.config.seqLen, DEFAULT_CONTEXT_TOKENS));
}

/** A text in progress: what is added up while it is written. */
interface Running {
  promptTokens: number;
  tokens: number;
  promptMs: number;
  /** Runs after the prompt: their time, their number, and the sum of what each had of zeros. */
  generateMs: number;
  runs: number;
  sparsity: number;
}

class RunningTextModel implements TextModel {
  readonly info: TextModelInfo;
  readonly #parts: TextModelParts;
  readonly #clock: KernelParts;
  readonly #engine: Engine;
  readonly #template: ChatTemplate;
  #isWriting = false;

  constructor(parts: TextModelParts, contextTokens: number) {
    const { name, config, weights, tokenizer, bytes, backend } = parts;
    const source = tokenizer.config?.chat_template ?? null;
    const noTokens = { bos_token: null, eos_token: null };
    this.#parts = parts;
    this.#template = new ChatTemplate(source ?? PLAIN_TEMPLATE, tokenizer.config ?? noTokens, name);
    this.#clock = new KernelParts(backend, weights.head);
    this.#engine = new Engine(config, weights, this.#clock.backend, { maxTokens: contextTokens });
    this.info = {
      ...{ name, config, bytes, contextTokens },
      parameters: countParameters(config),
      dtype: typesOf(weights),
      hasChatTemplate: source !== null,
      backend: backend.description,
      threads: backend.threads,
    };
  }

  async *generate(prompt: TextPrompt, options: TextOptions = {}): AsyncGenerator<TextPiece, TextSummary> {
    if (this.#isWriting) {
      const what = 'the model writes another text: expected one at a time, got a second';
      throw new BusyError('generate', `${what}. Wait for the first, or end it by its signal.`);
    }
    this.#isWriting = true;
    try {
      return yield* this.#write(prompt, options);
    } finally {
      this.#isWriting = false;
    }
  }

  async dispose(): Promise<void> {
    this.#engine.dispose();
    this.#parts.dispose();
  }

  async *#write(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextPiece, TextSummary> {
    const ids = this.#encode(prompt);
    const isPlay = typeof prompt !== 'string' && !this.info.hasChatTemplate;
    const stops = new StopStrings([...(options.stop ?? []), ...(isPlay ? PLAIN_STOPS : [])]);
    const decoding = this.#parts.tokenizer.decodeStream(ids);
    const tokens = generateTokens(this.#engine, ids, this.#generateOptions(options));
    const run: Running = { promptTokens: ids.length, tokens: 0, promptMs: 0, generateMs: 0, runs: 0, sparsity: 0 };
    try {
      for (;;) {
        const begin = this.#begin(run);
        const next = await tokens.next();
        const { ms, kept } = this.#count(run, begin);
        const { text, stopped } = stops.push(next.done ? decoding.flush() : decoding.push(next.value.id));
        if (next.done) {
          const rest = stopped ? text : text + stops.flush();
          if (rest !== '') yield { id: null, text: rest, ms: 0, kept: null };
          return this.#summary(run, stopped ? 'stop' : next.value);
        }
        run.tokens++;
        yield { id: next.value.id, text, ms, kept };
        if (stopped) return this.#summary(run, 'stop');
      }
    } finally {
      await tokens.return('aborted');
    }
  }

  #generateOptions({ maxTokens, sparsity, signal, ...rest }: TextOptions): GenerateOptions {
    return {
      sampler: new Sampler(samplerOptions(rest)),
      stopIds: this.#parts.tokenizer.endIds,
      ...(maxTokens !== undefined && { maxTokens }),
      ...(sparsity !== undefined && { sparsity }),
      ...(signal !== undefined && { signal }),
    };
  }

  #encode(prompt: TextPrompt): number[] {
    const { tokenizer } = this.#parts;
    const rendered = typeof prompt === 'string' ? null : this.#template.render(prompt);
    const ids =
      rendered !== null && this.info.hasChatTemplate
        ? tokenizer.encode(rendered)
        : tokenizer.encodePrompt(rendered ?? (prompt as string));
    if (ids.length > 0) return ids;
    const why = 'the prompt is empty and the tokenizer has no token that begins or ends a text';
    throw new UsageError('generate', `${why}. Give a prompt.`);
  }

  /** Before a run; the clock of the parts begins with the first token after the prompt. */
  #begin(run: Running): number {
    this.#engine.statistics.clear();
    if (run.tokens <= 1) this.#clock.reset();
    return performance.now();
  }

  /** After a run, or after none where the text had ended. */
  #count(run: Running, begin: number): { ms: number; kept: number[] | null } {
    const ms = performance.now() - begin;
    const { statistics } = this.#engine;
    if (run.tokens === 0) {
      run.promptMs = ms;
      return { ms, kept: null };
    }
    if (statistics.tokens === 0) return { ms, kept: null };
    run.generateMs += ms;
    run.sparsity += statistics.modelSparsity();
    run.runs++;
    return { ms, kept: keptByLayer(this.#parts.config, statistics) };
  }

  #summary({ sparsity: sum, runs, ...counts }: Running, finishReason: FinishReason): TextSummary {
    if (runs === 0) {
      const unknown = { tokensPerSecond: null, sparsity: null, activatedParameters: null };
      return { finishReason, ...counts, ...unknown, partsMs: NO_TIME };
    }
    const sparsity = sum / runs;
    return {
      ...{ finishReason, ...counts, sparsity },
      tokensPerSecond: (1000 * runs) / counts.generateMs,
      activatedParameters: (1 - sparsity) * blockParameters(this.#parts.config),
      partsMs: this.#clock.parts(counts.generateMs),
    };
  }
}

const NO_TIME: PartsMs = { selection: 0, products: 0, attention: 0, head: 0, other: 0 };

/** The share of the inputs that were not 0 in each layer, weighted by the weights that they meet. */
export function keptByLayer(config: ModelConfig, statistics: Pick<ZeroCounts, 'sparsity'>): number[] {
  const zeros = statistics.sparsity();
  const all = POINTS.reduce((sum, point) => sum + parametersAt(config, point), 0);
  return Array.from({ length: config.nLayers }, (_, layer) => {
    const kept = POINTS.reduce((sum, point) => sum + (1 - zeros[point][layer]) * parametersAt(config, point), 0);
    return kept / all;
  });
}

function samplerOptions({ temperature, topK, topP, minP, repetitionPenalty, seed }: TextOptions): SamplerOptions {
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(minP !== undefined && { minP }),
    ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    ...(seed !== undefined && { seed }),
  };
}

function typesOf({ layers }: ModelWeights): string {
  const types = layers.flatMap(({ qkv, o, feedForward }) => {
    const downs = ffnsOf(feedForward).map(({ down }) => down);
    return [qkv, o, ...downs].map(({ dtype }) => dtype);
  });
  return [...new Set(types)].join('+');
}
