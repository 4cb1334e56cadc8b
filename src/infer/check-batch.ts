/** Whether a batch can be run: looked at whole before anything changes. */

import { UsageError } from '../util/errors.ts';
import type { EngineSequence } from './engine-sequence.ts';
import type { EngineItem } from './place-batch.ts';
import type { BatchItem, TokenModel, TokenSequence } from './token-model.ts';

/**
 * The same batch. `ownOf` gives the engine's own sequences and null for others. Throws UsageError for a sequence that is not the engine's,
 * released, or there twice; for no ids, ids outside of the vocabulary, a full context, and more tokens than one run takes.
 */
export function checkBatch(
  batch: readonly BatchItem[],
  model: Pick<TokenModel, 'vocabSize' | 'maxTokens' | 'maxBatchTokens'>,
  ownOf: (sequence: TokenSequence) => EngineSequence | null,
): readonly EngineItem[] {
  let tokens = 0;
  const seen = new Set<TokenSequence>();
  for (const { sequence, ids } of batch) {
    if (ownOf(sequence) === null)
      fail('a sequence was released, or belongs to another engine. Create one of this engine.');
    if (seen.has(sequence)) fail('a sequence occurs twice in a batch: expected once. Give its tokens as one item.');
    seen.add(sequence);
    checkRoom(sequence.length, ids.length, model.maxTokens);
    checkIds(ids, model.vocabSize);
    tokens += ids.length;
  }
  if (tokens > model.maxBatchTokens) {
    fail(`a batch is too large: expected at most ${model.maxBatchTokens} tokens, got ${tokens}. Run it in pieces.`);
  }
  return batch as readonly EngineItem[];
}

function checkRoom(length: number, more: number, maxTokens: number): void {
  if (more === 0) fail('no tokens to run: expected at least 1 id, got 0.');
  if (length + more <= maxTokens) return;
  fail(
    `the context is full: it holds ${maxTokens} tokens, ${length} are in it and ${more} more were given. ` +
      'Shorten the text, or use a model with a longer context.',
  );
}

function checkIds(ids: readonly number[], vocabSize: number): void {
  for (const id of ids) {
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    fail(
      `token id ${id} is outside the vocabulary: expected 0 .. ${vocabSize - 1}. ` +
        'Does the tokenizer belong to this model?',
    );
  }
}

function fail(message: string): never {
  throw new UsageError('engine', message);
}
