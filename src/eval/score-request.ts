/**
 * A request of an evaluation: how probable is a continuation after a context. Text to token ids, as lm-evaluation-harness 0.4.13 divides them
 * (`_encode_pair` and `loglikelihood` in lm_eval/api/model.py).
 *
 * Both are encoded together, and the continuation is what remains behind as many ids as the context alone has: so a continuation has the
 * ids that it has in running text. White space at the end of the context goes to the continuation first, where the tokenizer wants it. An empty
 * context is the one id that begins a text.
 */

import type { DecodeStream } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';

export interface ScoreRequest {
  /** At least one id. */
  readonly context: readonly number[];
  /** The ids whose probabilities are wanted, at least one. */
  readonly continuation: readonly number[];
}

/** What the model made of a request. */
export interface Scored {
  /** Of each id of the continuation, in nats. */
  readonly logprobs: readonly number[];
  /** Is each of them the most probable one at its place? */
  readonly greedy: boolean;
}

/** What an evaluation needs to know of a model's tokenizer. */
export interface EvalTokenizer {
  encode(text: string): number[];
  decodeStream(): DecodeStream;
  /** Stands for an empty context; null where the tokenizer has no such id. */
  readonly prefixId: number | null;
  /** Stands in front of every other text; null where the tokenizer adds no BOS. */
  readonly bosId: number | null;
  /** Tokens that end a text. */
  readonly endIds: readonly number[];
}

/** The last `limit` + 1 ids are what counts (the last one needs no place in the model). Throws UsageError where a continuation has no ids of its own. */
export function encodeRequest(
  tokenizer: EvalTokenizer,
  context: string,
  continuation: string,
  limit = Infinity,
): ScoreRequest {
  const request = context === '' ? afterPrefix(tokenizer, continuation) : encodePair(tokenizer, context, continuation);
  if (request.continuation.length === 0) {
    const shown = JSON.stringify(continuation.slice(0, 60));
    throw new UsageError(
      'eval',
      `the continuation ${shown} has no tokens behind its context. Change the task's choices.`,
    );
  }
  return cutLeft(request, limit);
}

/** A text as the model reads it from its beginning. */
export function encodeContext(tokenizer: EvalTokenizer, text: string): number[] {
  const { bosId } = tokenizer;
  const ids = tokenizer.encode(text);
  return bosId === null ? ids : [bosId, ...ids];
}

function encodePair(tokenizer: EvalTokenizer, context: string, continuation: string): ScoreRequest {
  const trimmed = context.trimEnd();
  const whole = encodeContext(tokenizer, context + continuation);
  const count = encodeContext(tokenizer, trimmed).length;
  // A context of white space alone has no ids of its own.
  if (count === 0) return afterPrefix(tokenizer, context + continuation);
  return { context: whole.slice(0, count), continuation: whole.slice(count) };
}

function afterPrefix(tokenizer: EvalTokenizer, continuation: string): ScoreRequest {
  const { prefixId } = tokenizer;
  if (prefixId === null) {
    throw new UsageError(
      'eval',
      'the context is empty and the tokenizer has no token that begins a text. Name one with --prefix-token.',
    );
  }
  const ids = tokenizer.encode(continuation);
  return ids[0] === prefixId
    ? { context: [prefixId], continuation: ids.slice(1) }
    : { context: [prefixId], continuation: ids };
}

function cutLeft({ context, continuation }: ScoreRequest, limit: number): ScoreRequest {
  const excess = context.length + continuation.length - 1 - limit;
  if (excess <= 0) return { context, continuation };
  if (excess < context.length) return { context: context.slice(excess), continuation };
  throw new UsageError(
    'eval',
    `a continuation of ${continuation.length} tokens does not fit the model's context of ${limit}. Use a longer context.`,
  );
}
