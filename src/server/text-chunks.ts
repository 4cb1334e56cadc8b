/**
 * textChunks: the tokens of a request with the text that each of them adds, cut before the first stop string.
 *
 * What clients are told of tokens (log-probabilities, how much of the model they used) belongs to pieces of text, so that text and tokens must
 * come out together: every token in exactly one chunk, in order, none that lies behind the cut. Text that may become a stop string is held back with
 * its tokens; a token of which some text is safe comes with that, and the rest of its text with the next one. The stop token that ended a text comes last,
 * in a chunk of its own, where its log-probabilities are wanted.
 */

import type { TextDecoding } from '../infer/decode-text.ts';
import type { FinishReason, GeneratedToken } from '../infer/generation.ts';
import { StopStrings } from '../infer/stop-strings.ts';

export interface TextChunk {
  /** May be empty: a token that is a part of a character, or none. */
  readonly text: string;
  /** null: text that was held back, at the end. */
  readonly token: GeneratedToken | null;
  /** The stop token, behind all text. */
  readonly endToken?: GeneratedToken;
}

/** A token whose text begins at this place of the whole text. */
interface HeldToken {
  readonly token: GeneratedToken;
  readonly begin: number;
}

/** Returns why the text ended. A consumer that stops ends the tokens too. Throws UsageError for an empty stop string, and what the tokens throw. */
export async function* textChunks(
  tokens: AsyncIterator<GeneratedToken, FinishReason> & { readonly endToken?: GeneratedToken | null },
  decoding: TextDecoding,
  stop: readonly string[],
): AsyncGenerator<TextChunk, FinishReason> {
  const text = new AlignedText(stop);
  let ended = false;
  try {
    for (;;) {
      const next = await tokens.next();
      if (next.done) {
        ended = true;
        yield* text.finish(decoding.flush());
        if (tokens.endToken && !text.stopped) yield { text: '', token: null, endToken: tokens.endToken };
        return text.stopped ? 'stop' : next.value;
      }
      const chunks = text.push(next.value, decoding.push(next.value.id));
      if (text.stopped) {
        ended = true;
        await tokens.return?.();
      }
      yield* chunks;
      if (text.stopped) return 'stop';
    }
  } finally {
    if (!ended) await tokens.return?.();
  }
}

class AlignedText {
  stopped = false;
  readonly #stops: StopStrings;
  #held: HeldToken[] = [];
  /** Characters that the tokens have made, and that have been given out. */
  #made = 0;
  #given = 0;

  constructor(stop: readonly string[]) {
    this.#stops = new StopStrings(stop);
  }

  push(token: GeneratedToken, piece: string): TextChunk[] {
    this.#held.push({ token, begin: this.#made });
    return this.#take(piece);
  }

  /** What is left when no token comes any more. */
  finish(piece: string): TextChunk[] {
    const chunks = this.#take(piece);
    return this.stopped ? chunks : [...chunks, ...this.#give(this.#stops.flush())];
  }

  #take(piece: string): TextChunk[] {
    this.#made += piece.length;
    const { text, stopped } = this.#stops.push(piece);
    this.stopped = stopped;
    return this.#give(text);
  }

  /** `text` is safe: gives it out with the tokens that it belongs to. */
  #give(text: string): TextChunk[] {
    const first = this.#given;
    const end = first + text.length;
    const isAll = end === this.#made && !this.stopped;
    const chunks: TextChunk[] = [];
    while (this.#held.length > 0 && (isAll || this.#held[0].begin < end)) {
      const { token } = this.#held.shift() as HeldToken;
      const until = Math.min(end, this.#held[0]?.begin ?? end);
      chunks.push({ text: text.slice(this.#given - first, until - first), token });
      this.#given = until;
    }
    if (this.#given < end) chunks.push({ text: text.slice(this.#given - first), token: null });
    this.#given = end;
    return chunks;
  }
}
