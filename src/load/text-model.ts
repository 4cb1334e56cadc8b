/**
 * TextModel: a model that writes text, as `load` gives it: the same names and shapes in Node and in a browser.
 *
 * Types alone. Who runs it: run-text-model.ts over an engine in this thread, browser/load.ts over one in a Worker. Everything here can be sent
 * between threads, but for functions and signals.
 */

import type { ChatMessage } from '../chat/chat-template.ts';
import type { FinishReason } from '../infer/generation.ts';
import type { ModelConfig } from '../model/config.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';

/** A text to go on with, or a conversation to answer. */
export type TextPrompt = string | readonly ChatMessage[];

export interface TextOptions {
  /** Most tokens to write. Default: until the context is full. */
  maxTokens?: number;
  /** 0: always the most probable token. Default 1; the others as in SamplerOptions. */
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  seed?: number;
  /** The text ends before the first of them. */
  stop?: readonly string[];
  /** Replaces the model's sparsity. */
  sparsity?: SparsityOverride;
  /** Ends the text; what was written until then is kept. */
  signal?: AbortSignal;
}

/** One token; or, at the end, text that was held back and has no token of its own. */
export interface TextPiece {
  /** null for text without a token. */
  readonly id: number | null;
  /** What has become readable with it: empty where a character or a possible stop string is not complete. */
  readonly text: string;
  /** Of the run that gave it: for the first token that of the prompt. */
  readonly ms: number;
  /**
   * By layer: the share of the inputs of its four points that were not zero, weighted by their weights, in the run that gave this token; null for the
   * first one, which comes from the prompt.
   */
  readonly kept: readonly number[] | null;
}

/** Where the time of the tokens after the first went. */
export interface PartsMs {
  /** Choosing what stays and listing it; norm and rounding where they are one pass with it. */
  readonly selection: number;
  readonly products: number;
  /** With positions, keys and values. */
  readonly attention: number;
  /** The logits. */
  readonly head: number;
  /** What is left: norms, activations, sums, sampling, JavaScript. */
  readonly other: number;
}

export interface TextSummary {
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  /** Written, those of a cut stop string included. */
  readonly tokens: number;
  /** Until the first token, and for all after it; without what the reader took in between. */
  readonly promptMs: number;
  readonly generateMs: number;
  /** Of the tokens after the first; null where there are none. */
  readonly tokensPerSecond: number | null;
  /** Zeros weighted by the parameters that they skip, 0 .. 1, measured over the tokens after the first; null where there are none. */
  readonly sparsity: number | null;
  /** Parameters of the blocks that a token meets at inputs that are not zero. */
  readonly activatedParameters: number | null;
  readonly partsMs: PartsMs;
}

export interface TextModelInfo {
  /** Last part of its path or URL. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly parameters: number;
  /** Of the projections, as stored; several with a plus. */
  readonly dtype: string;
  /** Of the weights in memory. */
  readonly bytes: number;
  /** Longest text, prompt included, in tokens. */
  readonly contextTokens: number;
  /** Whether it came with the form of a conversation; without one a conversation is written as a play. */
  readonly hasChatTemplate: boolean;
  /** For people: backend, threads. */
  readonly backend: string;
  readonly threads: number;
}

export interface TextModel {
  readonly info: TextModelInfo;
  /**
   * Yields the text token by token and returns counts and times. One at a time: throws BusyError while another is read. Throws UsageError for a
   * prompt that does not fit the context, a wrong option, or a conversation that the model's template refuses.
   */
  generate(prompt: TextPrompt, options?: TextOptions): AsyncGenerator<TextPiece, TextSummary>;
  /** Frees everything; the model must not be used afterwards. */
  dispose(): Promise<void>;
}

/** What `load` is doing. */
export interface LoadProgress {
  /** Fetching bytes over the network, reading them from the cache or the disk into memory. */
  readonly phase: 'fetch' | 'read';
  readonly file: string;
  readonly loadedBytes: number;
  /** null where the server does not tell. */
  readonly totalBytes: number | null;
}

export interface LoadOptions {
  /** Threads, the calling one included. Default: as loadBackend; one in a page that is not isolated. */
  threads?: number;
  /** Longest text, prompt included. Default: the model's context, at most 4096, because the cache of keys and values is planned for it. */
  contextTokens?: number;
  /** Several times a second. */
  onProgress?: (progress: LoadProgress) => void;
  /** Takes a line for people where something is not as it should be and loading goes on: no place in the cache, slower kernels. */
  onNotice?: (line: string) => void;
  /** Gives up; `load` rejects with the signal's reason. */
  signal?: AbortSignal;
  /** In a browser: keep what is fetched for the next visit (model-cache.ts). Default true; Node keeps nothing. */
  cache?: boolean;
}
