/**
 * generateTokens: one sequence, token by token, as an async iterator. Many at once: scheduler.ts.
 *
 * Pulled by its consumer: the model runs only when the next token is asked for, so that the last token that a consumer takes costs no
 * run. A run is synchronous; between runs the event loop turns now and then, or Ctrl-C would not be heard.
 */

import { turnEventLoop } from '../util/turn-event-loop.ts';
import {
  checkRequest,
  type FinishReason,
  type GeneratedToken,
  Generation,
  type GenerationOptions,
} from './generation.ts';
import type { Speculation } from './speculation.ts';
import type { BatchItem, TokenModel } from './token-model.ts';

export interface GenerateOptions extends Omit<GenerationOptions, 'promptLogprobs'> {
  /** Drafts several tokens at once where that pays. The tokens are the same. Default: none. */
  speculation?: Speculation;
}

/** Longest stretch without a turn of the event loop, in ms: short for a person, long against the turn's cost. */
const TURN_EVERY_MS = 20;

/**
 * Yields the tokens that follow `promptIds` and returns why they ended; the sequence is released then, and where the consumer
 * stops. Throws UsageError for an empty prompt, one longer than the context or a wrong option, and what the model throws.
 */
export async function* generateTokens(
  model: TokenModel,
  promptIds: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, FinishReason> {
  const { signal, speculation, sparsity } = options;
  checkRequest(model, promptIds, options);
  const sequence = model.createSequence(sparsity === undefined ? {} : { sparsity });
  try {
    const generation = new Generation(sequence, promptIds, options, model.maxTokens);
    let turnedAt = performance.now();
    while (generation.finishReason === null) {
      if (performance.now() - turnedAt > TURN_EVERY_MS) {
        await turnEventLoop();
        turnedAt = performance.now();
      }
      if (signal?.aborted) return 'aborted';
      yield* step(model, generation, speculation);
    }
    return generation.finishReason;
  } finally {
    sequence.release();
  }
}

function step(model: TokenModel, generation: Generation, speculation: Speculation | undefined): GeneratedToken[] {
  const isDecoding = generation.pending === 1;
  if (!speculation || !isDecoding) return run(model, generation, generation.next(model.maxBatchTokens));
  speculation.beginStep(1);
  const room = Math.min(generation.draftRoom, model.maxBatchTokens - 1);
  const { drafts, ids } = generation;
  const { accepted } = drafts;
  const tokens = run(model, generation, generation.next(1, speculation.draft(drafts, ids, room)));
  speculation.endStep(drafts.accepted - accepted);
  return tokens;
}

function run(model: TokenModel, generation: Generation, item: BatchItem): GeneratedToken[] {
  const [logits] = model.run([item]);
  return generation.advance(item, logits);
}
