import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { decodeText } from './decode-text.ts';
import type { FinishReason, GeneratedToken } from './generation.ts';

/** One token per UTF-8 byte. */
function bytes() {
  const decoder = new TextDecoder();
  return {
    push: (id: number) => decoder.decode(Uint8Array.of(id), { stream: true }),
    flush: () => decoder.decode(),
  };
}

/** Says `text` and remembers what became of it. */
function speaker(text: string) {
  const log = { given: 0, closed: false };
  async function* speak(): AsyncGenerator<GeneratedToken, FinishReason> {
    try {
      for (const id of new TextEncoder().encode(text)) {
        log.given++;
        yield { id };
      }
      return 'length';
    } finally {
      log.closed = true;
    }
  }
  return { tokens: speak(), log };
}

async function read(pieces: AsyncGenerator<string, FinishReason>): Promise<{ pieces: string[]; reason: FinishReason }> {
  const got: string[] = [];
  for (;;) {
    const next = await pieces.next();
    if (next.done) return { pieces: got, reason: next.value };
    got.push(next.value);
  }
}

describe('decodeText', () => {
  it('never breaks a character and passes on why the tokens ended', async () => {
    const got = await read(decodeText(speaker('a€𝄞!').tokens, bytes()));
    expect(got).toEqual({ pieces: ['a', '€', '𝄞', '!'], reason: 'length' });
  });

  it('has the tokens end at a stop string, before it gives the last piece', async () => {
    const { tokens, log } = speaker('one two three');
    const pieces = decodeText(tokens, bytes(), ['e t', 'wo th']);
    expect(await pieces.next()).toEqual({ done: false, value: 'o' });
    expect(await pieces.next()).toEqual({ done: false, value: 'n' });
    expect(await pieces.next()).toEqual({ done: true, value: 'stop' });
    expect(log).toEqual({ given: 5, closed: true });
  });

  it('finds one that the flush of the last bytes completes', async () => {
    const { tokens } = speaker('ab');
    const decoding = { push: () => '', flush: () => 'xEND' };
    expect(await read(decodeText(tokens, decoding, ['END']))).toEqual({ pieces: ['x'], reason: 'stop' });
  });

  it('ends the tokens where the consumer stops', async () => {
    const { tokens, log } = speaker('one two');
    for await (const piece of decodeText(tokens, bytes())) if (piece === 'n') break;
    expect(log).toEqual({ given: 2, closed: true });
  });

  it('passes on errors, and ends the tokens at one of its own', async () => {
    const broken = (async function* (): AsyncGenerator<GeneratedToken, FinishReason> {
      yield { id: 65 };
      throw new Error('broken');
    })();
    await expect(read(decodeText(broken, bytes()))).rejects.toThrow('broken');
    const { tokens } = speaker('x');
    await expect(read(decodeText(tokens, bytes(), ['']))).rejects.toThrow(UsageError);
    expect(await tokens.next()).toMatchObject({ done: true });
  });

  it('cuts before the first stop string, wherever the borders of tokens lie', async () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: 12 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(letters, stop, async (text, only) => {
        const { pieces, reason } = await read(decodeText(speaker(text).tokens, bytes(), [only]));
        const at = text.indexOf(only);
        expect(pieces.join('')).toBe(at < 0 ? text : text.slice(0, at));
        expect(reason).toBe(at < 0 ? 'length' : 'stop');
      }),
    );
  });
});
