/** A token by itself, as log-probabilities name it: its text, and its bytes, because a token may be a part of a character. */

import type { ServedTokenizer } from './served-model.ts';

/** A special token has no bytes in a text, and an empty one here. */
export function tokenText(tokenizer: ServedTokenizer, id: number): { token: string; bytes: number[] } {
  const bytes = tokenizer.tokenBytes(id) ?? new Uint8Array(0);
  return { token: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), bytes: [...bytes] };
}
