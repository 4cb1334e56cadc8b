/** A token by itself, as log-probabilities name it: its text, and its bytes, because a token may be a part of a character. */

import type { ServedTokenizer } from './served-model.ts';

/**
 * A name that tells tokens apart, for the keys of `top_logprobs` in completions: the text; of a token that is a part of a character its bytes, as OpenAI's API
 * writes them; of one without text its id, as vLLM does.
 */
export function tokenName(tokenizer: ServedTokenizer, id: number): string {
  const { token, bytes } = tokenText(tokenizer, id);
  if (bytes.length === 0) return `token_id:${id}`;
  if (!token.includes('\ufffd')) return token;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}

/** A special token has no bytes in a text, and an empty one here. */
export function tokenText(tokenizer: ServedTokenizer, id: number): { token: string; bytes: number[] } {
  const bytes = tokenizer.tokenBytes(id) ?? new Uint8Array(0);
  return { token: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), bytes: [...bytes] };
}
