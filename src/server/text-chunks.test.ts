import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FinishReason, GeneratedToken } from '../infer/generation.ts';
import { type TextChunk, textChunks } from './text-chunks.ts';

/** Tokens whose id is the place of their text in a list. */
function tokensOf(pieces: readonly string[], reason: FinishReason = 'length') {
  let returned = false;
  async function* tokens(): AsyncGenerator<GeneratedToken, FinishReason> {
    try {
      for (let id = 0; id < pieces.length; id++) yield { id };
      return reason;
    } finally {
      returned = true;
    }
  }
  return { tokens: tokens(), wasReturned: () => returned };
}

async function collect(pieces: readonly string[], stop: readonly string[], tail = '') {
  const { tokens, wasReturned } = tokensOf(pieces);
  const decoding = { push: (id: number) => pieces[id], flush: () => tail };
  const generator = textChunks(tokens, decoding, stop);
  const chunks: TextChunk[] = [];
  for (;;) {
    const next = await generator.next();
    if (next.done) return { chunks, reason: next.value, wasReturned: wasReturned() };
    chunks.push(next.value);
  }
}

const brief = (chunks: readonly TextChunk[]) => chunks.map(({ text, token }) => [text, token?.id ?? null]);

describe('textChunks', () => {
  it('gives every token with its text', async () => {
    const { chunks, reason } = await collect(['a', '', 'bc'], []);
    expect(brief(chunks)).toEqual([
      ['a', 0],
      ['', 1],
      ['bc', 2],
    ]);
    expect(reason).toBe('length');
  });

  it('holds back what may become a stop string, with its tokens', async () => {
    const { chunks } = await collect(['foo\n', 'Us', 'ing', '.'], ['\nUser:']);
    expect(brief(chunks)).toEqual([
      ['foo', 0],
      ['\nUs', 1],
      ['ing', 2],
      ['.', 3],
    ]);
  });

  it('cuts before a stop string, drops the tokens behind it, and ends the others', async () => {
    const { chunks, reason, wasReturned } = await collect(['foo\n', 'User', ': x', 'never'], ['\nUser:']);
    expect(brief(chunks)).toEqual([['foo', 0]]);
    expect([reason, wasReturned]).toEqual(['stop', true]);
    const within = await collect(['ab', 'cd'], ['c']);
    expect(brief(within.chunks)).toEqual([['ab', 0]]);
    const shared = await collect(['ab', 'xcd'], ['c']);
    expect(brief(shared.chunks)).toEqual([
      ['ab', 0],
      ['x', 1],
    ]);
  });

  it('gives out at the end what was held back, and what the decoder still had', async () => {
    const { chunks } = await collect(['foo\n', 'User'], ['\nUser:'], '\ufffd');
    expect(brief(chunks)).toEqual([
      ['foo', 0],
      ['\nUser\ufffd', 1],
    ]);
  });

  it('says all of any text up to the first stop string, each token once and in order', async () => {
    const piece = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 });
    const stop = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), stop, async (pieces, stops) => {
        const { chunks, reason } = await collect(pieces, stops);
        const whole = pieces.join('');
        // The shortest beginning that ends with a stop string; the longest such string is cut off.
        const ends = Array.from({ length: whole.length }, (_, i) => whole.slice(0, i + 1));
        const complete = ends.find((text) => stops.some((one) => text.endsWith(one))) ?? '';
        const cut = Math.min(
          ...stops.filter((one) => complete.endsWith(one)).map((one) => complete.length - one.length),
        );
        expect(chunks.map(({ text }) => text).join('')).toBe(whole.slice(0, Math.min(cut, whole.length)));
        expect(reason).toBe(cut === Infinity ? 'length' : 'stop');
        const ids = chunks.flatMap(({ token }) => (token ? [token.id] : []));
        expect(ids).toEqual(ids.map((_, i) => i));
        if (cut === Infinity) expect(ids).toHaveLength(pieces.length);
        else expect(pieces.slice(0, ids.length).join('').length).toBeGreaterThanOrEqual(cut);
      }),
      { numRuns: 1000 },
    );
  });
});
