/**
 * decodeText: a stream of tokens as a stream of text, cut before the first stop string.
 *
 * Bytes of a character that is spread over several tokens are held until it is whole (the tokenizer's stream does it), and so is a
 * text that may become a stop string. When a stop string is complete, the tokens are told to end, so that their sequence is
 * free before anyone asks for more text.
 */

import type { FinishReason, GeneratedToken } from './generation.ts';
import { StopStrings } from './stop-strings.ts';

/** Text of ids, one at a time: a tokenizer's `decodeStream()`. */
export interface TextDecoding {
  push(id: number): string;
  flush(): string;
}

/**
 * Yields pieces of text that are not empty and returns why the text ended. A consumer that stops ends the tokens too, once it has
 * asked for a piece. Throws UsageError for an empty stop string, and what the tokens throw.
 */
export async function* decodeText(
  tokens: AsyncIterator<GeneratedToken, FinishReason>,
  decoding: TextDecoding,
  stop: readonly string[] = [],
): AsyncGenerator<string, FinishReason> {
  let ended = false;
  try {
    const stops = new StopStrings(stop);
    for (;;) {
      const next = await tokens.next();
      if (next.done) {
        ended = true;
        const { text, stopped } = stops.push(decoding.flush());
        const last = stopped ? text : text + stops.flush();
        if (last !== '') yield last;
        return stopped ? 'stop' : next.value;
      }
      const { text, stopped } = stops.push(decoding.push(next.value.id));
      if (stopped) {
        ended = true;
        await tokens.return?.();
      }
      if (text !== '') yield text;
      if (stopped) return 'stop';
    }
  } finally {
    if (!ended) await tokens.return?.();
  }
}
