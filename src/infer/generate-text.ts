/**
 * generateText: text in, text out, piece by piece: what a terminal shows while the model writes.
 *
 * The tokenizer on both ends of generateTokens, with decodeText behind it.
 */

import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import { decodeText } from './decode-text.ts';
import { type GenerateOptions, generateTokens } from './generate-tokens.ts';
import type { FinishReason, GeneratedToken } from './generation.ts';
import type { TokenModel } from './token-model.ts';

export interface GenerateTextOptions extends GenerateOptions {
  /** The text ends before the first of them. */
  stop?: readonly string[];
}

export interface TextResult {
  finishReason: FinishReason;
  promptTokens: number;
  /** Generated tokens, those of a cut stop string included. */
  tokens: number;
  /** Time until the first token was sampled (the prompt's forward pass), and of all after it. */
  promptMs: number;
  generateMs: number;
}

type TextTokenizer = Pick<Tokenizer, 'encodePrompt' | 'decodeStream' | 'endIds'>;

/**
 * Yields the continuation of `prompt` as it becomes readable; the tokens that end a text end it. The prompt begins as
 * the tokenizer's configuration says, an empty one as a document does. Returns counts and times. Throws UsageError where the prompt does
 * not fit the context, or is empty and the tokenizer has no end-of-text.
 */
export async function* generateText(
  engine: TokenModel,
  tokenizer: TextTokenizer,
  prompt: string,
  options: GenerateTextOptions,
): AsyncGenerator<string, TextResult> {
  const { stop = [], stopIds = [], ...rest } = options;
  const promptIds = encodePrompt(tokenizer, prompt);
  const counts = { promptTokens: promptIds.length, tokens: 0, promptMs: 0, generateMs: 0 };
  const tokens = generateTokens(engine, promptIds, { ...rest, stopIds: [...stopIds, ...tokenizer.endIds] });
  const finishReason = yield* decodeText(counted(tokens, counts), tokenizer.decodeStream(promptIds), stop);
  return { finishReason, ...counts };
}

/** The tokens as they are, counted and timed. */
async function* counted(
  tokens: AsyncGenerator<GeneratedToken, FinishReason>,
  counts: Omit<TextResult, 'finishReason'>,
): AsyncGenerator<GeneratedToken, FinishReason> {
  const begin = performance.now();
  try {
    for (;;) {
      const next = await tokens.next();
      const now = performance.now() - begin;
      if (counts.tokens === 0) counts.promptMs = now;
      else counts.generateMs = now - counts.promptMs;
      if (next.done) return next.value;
      counts.tokens++;
      yield next.value;
    }
  } finally {
    await tokens.return('aborted');
  }
}

function encodePrompt(tokenizer: TextTokenizer, prompt: string): number[] {
  const ids = tokenizer.encodePrompt(prompt);
  if (ids.length > 0) return ids;
  throw new UsageError(
    'generate',
    'the prompt is empty and the tokenizer has no token that begins or ends a text. Give a prompt.',
  );
}
