/** Texts that become prompts: how long they may be, and their ids. */

import { ApiError } from './api-error.ts';
import { MOST_CHARACTERS_PER_TOKEN } from './limits.ts';
import type { ServedModel } from './served-model.ts';

/** Throws ApiError for a text that cannot fit the context, before time is spent on encoding it. */
export function checkLength(text: string, { contextTokens }: Pick<ServedModel, 'contextTokens'>, param: string): void {
  const most = contextTokens * MOST_CHARACTERS_PER_TOKEN;
  if (text.length <= most) return;
  const message = `${param}: expected at most ${most} characters for a context of ${contextTokens} tokens, got ${text.length}.`;
  throw new ApiError(400, message, { param, code: 'context_length_exceeded' });
}

/** Throws ApiError for a prompt that the model cannot take. */
export function checkPrompt(
  ids: readonly number[],
  { contextTokens, vocabSize }: Pick<ServedModel, 'contextTokens' | 'vocabSize'>,
  param: string,
): void {
  if (ids.length === 0) throw new ApiError(400, `${param}: expected at least one token, got none.`, { param });
  if (ids.length > contextTokens) {
    const message = `${param}: expected at most ${contextTokens} tokens (the context), got ${ids.length}.`;
    throw new ApiError(400, message, { param, code: 'context_length_exceeded' });
  }
  const foreign = ids.find((id) => id >= vocabSize);
  if (foreign === undefined) return;
  throw new ApiError(400, `${param}: expected token ids below ${vocabSize}, got ${foreign}.`, { param });
}
