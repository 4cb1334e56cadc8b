/** A token by itself, as log-probabilities name it: its text, and its bytes, because a token may be a part of a character. */

import type { ServedTokenizer } from './served-model.ts';

const encoder = new TextEncoder();

export function tokenText(tokenizer: ServedTokenizer, id: number): { token: string; bytes: number[] } {
  const token = tokenizer.decode([id]);
  return { token, bytes: [...encoder.encode(token)] };
}
