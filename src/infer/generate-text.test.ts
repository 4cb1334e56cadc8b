import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { generateText, type TextResult } from './generate-text.ts';
import type { TokenEngine } from './generate-tokens.ts';
import { Sampler } from './sampler.ts';

/** One token per UTF-8 byte; 256 ends the text. */
const BYTES = {
  endOfText: 256,
  encode: (text: string) => [...new TextEncoder().encode(text)],
  decodeStream: () => {
    const decoder = new TextDecoder();
    return {
      push: (id: number) => decoder.decode(Uint8Array.of(id), { stream: true }),
      flush: () => decoder.decode(),
    };
  },
};

/** Says `script`, whatever the prompt, then end of text. */
class Scripted implements TokenEngine {
  position = 0;
  readonly maxTokens: number;
  readonly prompts: number[][] = [];
  readonly #ids: number[];

  constructor(script: string, maxTokens = 100) {
    this.#ids = [...BYTES.encode(script), BYTES.endOfText];
    this.maxTokens = maxTokens;
  }

  prefill(ids: readonly number[]): Float32Array {
    this.prompts.push([...ids]);
    return this.#next(ids.length);
  }

  decode(): Float32Array {
    return this.#next(1);
  }

  #next(count: number): Float32Array {
    this.position += count;
    const logits = new Float32Array(257);
    logits[this.#ids.shift() ?? 256] = 1;
    return logits;
  }
}

async function run(
  engine: TokenEngine,
  prompt: string,
  options: { stop?: string[]; maxTokens?: number } = {},
): Promise<{ pieces: string[]; result: TextResult }> {
  const sampler = new Sampler({ temperature: 0 });
  const text = generateText(engine, BYTES, prompt, { sampler, ...options });
  const pieces: string[] = [];
  for (;;) {
    const next = await text.next();
    if (next.done) return { pieces, result: next.value };
    pieces.push(next.value);
  }
}

describe('generateText', () => {
  it('never breaks a character', async () => {
    const { pieces, result } = await run(new Scripted('a€𝄞!'), 'x');
    expect(pieces).toEqual(['a', '€', '𝄞', '!']);
    expect(result).toMatchObject({ finishReason: 'stop', promptTokens: 1, tokens: 9 });
  });

  it('shows what is left of a cut character at the end', async () => {
    const { pieces, result } = await run(new Scripted('a€'), 'x', { maxTokens: 2 });
    expect(pieces.join('')).toBe('a�');
    expect(result.finishReason).toBe('length');
  });

  it('cuts before a stop string and leaves the engine there', async () => {
    const engine = new Scripted('one\nUser: two');
    const { pieces, result } = await run(engine, 'x', { stop: ['\nUser:'] });
    expect(pieces.join('')).toBe('one');
    expect(result).toMatchObject({ finishReason: 'stop', tokens: 9 });
    expect(engine.position).toBe(9); // the prompt and all but the last token
  });

  it('shows a held beginning of a stop string when the text ends', async () => {
    expect((await run(new Scripted('one\nUs'), 'x', { stop: ['\nUser:'] })).pieces.join('')).toBe('one\nUs');
  });

  it('begins a document for an empty prompt', async () => {
    const engine = new Scripted('hi');
    expect((await run(engine, '')).pieces.join('')).toBe('hi');
    expect(engine.prompts).toEqual([[256]]);
  });

  it('refuses a prompt that does not fit, before any work', async () => {
    const engine = new Scripted('hi', 4);
    await expect(run(engine, 'hello')).rejects.toThrow(UsageError);
    await expect(run(engine, 'hello')).rejects.toThrow('at most 4 tokens (the context), got 5');
    expect(engine.prompts).toEqual([]);
    expect((await run(engine, 'hell')).result.finishReason).toBe('context');
  });
});
