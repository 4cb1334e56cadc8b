/**
 * TokenModel: what runs tokens for several sequences at once. The engine is one; a scheduler, speculation and generation need no more,
 * so that they are tested with a fake.
 */

import type { SparsityOverride } from '../model/sparsity-override.ts';

/** One sequence of a model: its tokens so far are in the key/value cache. */
export interface TokenSequence {
  /** Tokens in the cache: the position of the next one. */
  readonly length: number;
  /** Forgets all tokens from `length` on. Throws UsageError above the present length, or where a sliding window has already dropped what would be needed. */
  truncate(length: number): void;
  /** Gives the place in the cache back; the sequence must not be used afterwards. A second call does nothing. */
  release(): void;
}

export interface SequenceOptions {
  /** Replaces the model's sparsity for this sequence. */
  sparsity?: SparsityOverride;
}

export interface BatchItem {
  readonly sequence: TokenSequence;
  /** Tokens to append, at least one. */
  readonly ids: readonly number[];
  /** Which of their logits are wanted: those that follow the last one, those that follow each, or none. */
  readonly logits: 'none' | 'last' | 'all';
}

/** Shares of the weights of the blocks that the tokens of the last run were multiplied with, 0 .. 1: what zeros did not skip. */
export interface WeightUse {
  /** Of token number `token` of item number `item`, by layer. */
  ofToken(item: number, token: number): number[];
  /** Mean over all layers and tokens of an item. */
  ofItem(item: number): number;
}

export interface TokenModel {
  readonly vocabSize: number;
  /** Longest sequence, in tokens. */
  readonly maxTokens: number;
  readonly maxSequences: number;
  /** Most tokens of one `run`, all items together. */
  readonly maxBatchTokens: number;
  /** Valid until the next run; absent where the model does not count. */
  readonly weightUse?: WeightUse;
  /** Throws UsageError where maxSequences are in use. */
  createSequence(options?: SequenceOptions): TokenSequence;
  /**
   * Appends the tokens of every item to its sequence (each sequence at most once in a batch). For each item its logits, row after row:
   * [0, V], [1, V] or [ids, V]; the memory is the model's, valid until the next call. Throws UsageError for bad ids or a full context, before
   * anything has changed.
   */
  run(batch: readonly BatchItem[]): readonly Float32Array[];
}
