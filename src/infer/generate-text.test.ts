import { describe, expect, it } from 'vitest';
import { FakeTokenModel } from '../../test/support/fake-token-model.ts';
import { UsageError } from '../util/errors.ts';
import { generateText, type TextResult } from './generate-text.ts';
import { Sampler } from './sampler.ts';

/** One token per UTF-8 byte; 256 ends the text. */
const BYTES = {
  endIds: [256],
  encodePrompt: (text: string) => (text === '' ? [256] : [...new TextEncoder().encode(text)]),
  decodeStream: () => {
    const decoder = new TextDecoder();
    return {
      push: (id: number) => decoder.decode(Uint8Array.of(id), { stream: true }),
      flush: () => decoder.decode(),
    };
  },
};

/** Says `script` after a prompt of `promptTokens`, then end of text. */
function scripted(script: string, promptTokens: number, maxTokens = 100): FakeTokenModel {
  const ids = [...new TextEncoder().encode(script), 256];
  const next = (length: number) => ids[length - promptTokens] ?? 256;
  return new FakeTokenModel({
    vocabSize: 257,
    maxTokens,
    logitsOf: ({ length }) => Float32Array.from({ length: 257 }, (_, id) => (id === next(length) ? 1 : 0)),
  });
}

async function run(
  model: FakeTokenModel,
  prompt: string,
  options: { stop?: string[]; maxTokens?: number } = {},
): Promise<{ pieces: string[]; result: TextResult }> {
  const sampler = new Sampler({ temperature: 0 });
  const text = generateText(model, BYTES, prompt, { sampler, ...options });
  const pieces: string[] = [];
  for (;;) {
    const next = await text.next();
    if (next.done) return { pieces, result: next.value };
    pieces.push(next.value);
  }
}

describe('generateText', () => {
  it('never breaks a character', async () => {
    const { pieces, result } = await run(scripted('a€𝄞!', 1), 'x');
    expect(pieces).toEqual(['a', '€', '𝄞', '!']);
    expect(result).toMatchObject({ finishReason: 'stop', promptTokens: 1, tokens: 9 });
  });

  it('shows what is left of a cut character at the end', async () => {
    const { pieces, result } = await run(scripted('a€', 1), 'x', { maxTokens: 2 });
    expect(pieces.join('')).toBe('a�');
    expect(result.finishReason).toBe('length');
  });

  it('cuts before a stop string and runs nothing behind it', async () => {
    const model = scripted('one\nUser: two', 1);
    const { pieces, result } = await run(model, 'x', { stop: ['\nUser:'] });
    expect(pieces.join('')).toBe('one');
    expect(result).toMatchObject({ finishReason: 'stop', tokens: 9 });
    expect(model.tokens).toBe(9); // the prompt and all but the last token
    expect(model.live.size).toBe(0);
  });

  it('shows a held beginning of a stop string when the text ends', async () => {
    expect((await run(scripted('one\nUs', 1), 'x', { stop: ['\nUser:'] })).pieces.join('')).toBe('one\nUs');
  });

  it('begins a document for an empty prompt', async () => {
    const model = scripted('hi', 1);
    const begun: number[] = [];
    model.beforeRun = ([{ ids }]) => begun.push(...ids);
    expect((await run(model, '')).pieces.join('')).toBe('hi');
    expect(begun[0]).toBe(256);
  });

  it('refuses a prompt that does not fit, before any work', async () => {
    const model = scripted('hi', 4, 4);
    await expect(run(model, 'hello')).rejects.toThrow(UsageError);
    await expect(run(model, 'hello')).rejects.toThrow('at most 4 tokens (the context), got 5');
    expect(model.runs).toEqual([]);
    expect((await run(model, 'hell')).result.finishReason).toBe('context');
  });

  it('releases the sequence where the consumer stops', async () => {
    const model = scripted('one two three', 1);
    for await (const piece of generateText(model, BYTES, 'x', { sampler: new Sampler({ temperature: 0 }) })) {
      if (piece === 'n') break;
    }
    expect(model.live.size).toBe(0);
    expect(model.tokens).toBe(2);
  });
});
