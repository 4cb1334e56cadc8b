/**
 * generateTokens: the loop of text generation in token ids: prefill, then sample and decode until something ends it.
 *
 * Knows nothing of text (generate-text.ts does) nor of models: a TokenEngine is all it needs, so that it is tested
 * with a fake one. The forward passes are synchronous; between tokens the loop lets the event loop turn, or Ctrl-C
 * would not be heard.
 */

import type { Logits, Sampler } from './sampler.ts';

/** What of an Engine generation needs. */
export interface TokenEngine {
  readonly position: number;
  readonly maxTokens: number;
  prefill(ids: readonly number[]): Logits;
  decode(id: number): Logits;
}

export interface GenerateOptions {
  sampler: Sampler;
  /** Most tokens to generate; default: until the context is full. */
  maxTokens?: number;
  /** Tokens that end the text; they are not yielded. */
  stopIds?: readonly number[];
  /** Ends the generation after the token in progress. */
  signal?: AbortSignal;
}

/** Why it ended: a stop token or string, maxTokens, a full context, or the signal. */
export type FinishReason = 'stop' | 'length' | 'context' | 'aborted';

/** Longest stretch without a turn of the event loop, in ms: short for a person, long against the turn's cost. */
const TURN_EVERY_MS = 20;

/**
 * Yields the ids that follow `promptIds` in the engine's sequence and returns why it ended. The engine runs on an id only
 * when the next one is asked for: the last id that a consumer takes costs no forward pass. Throws what the
 * engine throws, UsageError for an empty prompt or one longer than the context.
 */
export async function* generateTokens(
  engine: TokenEngine,
  promptIds: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, FinishReason> {
  const { sampler, maxTokens = Infinity, stopIds = [], signal } = options;
  const seen = new Set(promptIds);
  let turnedAt = performance.now();
  let logits = engine.prefill(promptIds);
  for (let count = 0; count < maxTokens; count++) {
    if (performance.now() - turnedAt > TURN_EVERY_MS) {
      await turn();
      turnedAt = performance.now();
    }
    if (signal?.aborted) return 'aborted';
    const id = sampler.sample(logits, seen);
    if (stopIds.includes(id)) return 'stop';
    seen.add(id);
    yield id;
    if (count + 1 === maxTokens) break;
    if (engine.position === engine.maxTokens) return 'context';
    logits = engine.decode(id);
  }
  return 'length';
}

/** One turn of the event loop. `setImmediate` costs microseconds; browsers have only the timer. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
