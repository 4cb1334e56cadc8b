/**
 * generateText: text in, text out, piece by piece: what a terminal or a server shows while the model writes.
 *
 * Around generateTokens: the tokenizer on both ends, characters that are spread over several tokens held until they are
 * whole, and stop strings cut off before anyone sees them.
 */

import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import { type FinishReason, type GenerateOptions, generateTokens, type TokenEngine } from './generate-tokens.ts';
import { StopStrings } from './stop-strings.ts';

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

type TextTokenizer = Pick<Tokenizer, 'encode' | 'decodeStream' | 'endOfText'>;

/**
 * Yields the continuation of `prompt` as it becomes readable; its end-of-text token ends it. An empty prompt begins
 * as a document does: after an end-of-text token. Returns counts and times. Throws UsageError where the prompt does
 * not fit the context, or is empty and the tokenizer has no end-of-text.
 */
export async function* generateText(
  engine: TokenEngine,
  tokenizer: TextTokenizer,
  prompt: string,
  options: GenerateTextOptions,
): AsyncGenerator<string, TextResult> {
  const { stop = [], stopIds = [], ...rest } = options;
  const endIds = tokenizer.endOfText === null ? [] : [tokenizer.endOfText];
  const promptIds = encodePrompt(tokenizer, prompt);
  checkFits(engine, promptIds.length);
  const stops = new StopStrings(stop);
  const decoder = tokenizer.decodeStream();
  const tokens = generateTokens(engine, promptIds, { ...rest, stopIds: [...stopIds, ...endIds] });
  const result: TextResult = {
    finishReason: 'stop',
    promptTokens: promptIds.length,
    tokens: 0,
    promptMs: 0,
    generateMs: 0,
  };
  const begin = performance.now();
  for (;;) {
    const next = await tokens.next();
    const now = performance.now() - begin;
    if (result.tokens === 0) result.promptMs = now;
    else result.generateMs = now - result.promptMs;
    if (next.done) {
      const { text, stopped } = stops.push(decoder.flush());
      const last = stopped ? text : text + stops.flush();
      if (last !== '') yield last;
      return { ...result, finishReason: next.value };
    }
    result.tokens++;
    const { text, stopped } = stops.push(decoder.push(next.value));
    if (text !== '') yield text;
    if (stopped) return result;
  }
}

function encodePrompt(tokenizer: TextTokenizer, prompt: string): number[] {
  if (prompt !== '') return tokenizer.encode(prompt);
  if (tokenizer.endOfText !== null) return [tokenizer.endOfText];
  throw new UsageError('generate', 'the prompt is empty and the tokenizer has no end-of-text token. Give a prompt.');
}

function checkFits(engine: TokenEngine, promptTokens: number): void {
  const room = engine.maxTokens - engine.position;
  if (promptTokens <= room) return;
  throw new UsageError(
    'generate',
    `the prompt is too long: expected at most ${room} tokens (the context), got ${promptTokens}. Shorten it.`,
  );
}
