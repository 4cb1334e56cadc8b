/**
 * ServedModel: a model in memory with all that a request needs of it. Who opened it, from what and on which backend, is the business of the
 * command; the server sees tokens, text and the form of a conversation.
 */

import type { ChatForm } from '../chat/chat-form.ts';
import type { Scheduler } from '../infer/scheduler.ts';
import type { ModelConfig } from '../model/config.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { PartTimes } from './page-answers.ts';

/** What can be said of a model before it is loaded. */
export interface ModelDescription {
  readonly config: ModelConfig;
  /** Parameters, the embedding included. */
  readonly parameters: number;
  /** How the projections are stored. */
  readonly dtype: string;
  /** Longest sequence that is served, prompt included. */
  readonly contextTokens: number;
  /** It has a form of a conversation. */
  readonly chat: boolean;
  /** Memory that it will take: weights, keys and values, intermediates. */
  readonly bytes: number;
}

export type ServedTokenizer = Pick<
  Tokenizer,
  'encode' | 'encodePrompt' | 'decode' | 'decodeStream' | 'tokenBytes' | 'endIds'
>;

export interface ServedModel {
  readonly config: ModelConfig;
  readonly vocabSize: number;
  /** Longest sequence, prompt included. */
  readonly contextTokens: number;
  readonly tokenizer: ServedTokenizer;
  /** null: the model has no form of a conversation. */
  readonly chatForm: ChatForm | null;
  readonly scheduler: Scheduler;
  /** What a request gets that says none; undefined: the model's own. */
  readonly defaultSparsity: SparsityOverride | undefined;
  /** Of kernels since the model was loaded; undefined: not measured. */
  readonly partTimes: (() => PartTimes) | undefined;
  /** Memory that it takes. */
  readonly bytes: number;
  /** Ends what still runs, and frees the memory. */
  dispose(): void;
}

/** A model that can be served. */
export interface ModelSource {
  /** What clients call it. */
  readonly id: string;
  /** Reads no weights. Throws FormatError for what is no model. */
  describe(): ModelDescription;
  /** Throws FormatError as `describe`, and for weights that cannot be used. */
  open(): ServedModel;
}
