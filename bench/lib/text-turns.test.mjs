/** Turns of variants that write words without any model. */

import { describe, expect, it, vi } from 'vitest';
import { ourVariants, takeTurns } from './text-turns.mjs';

/** What `performance.now` says where a test has stopped it. */
let now = 0;

/** Writes `words`, the first after `promptMs` of the stopped clock, the others every `tokenMs`. */
function variant(engine, words, { promptMs = 0, tokenMs = 0, promptTokens = 5, calls = [] } = {}) {
  async function* write() {
    calls.push(engine);
    for (const [i, word] of words.entries()) {
      now += i === 0 ? promptMs : tokenMs;
      yield word;
    }
    // The end of the stream is no piece.
    now += 500;
    return { promptTokens, zeros: 0.25 };
  }
  return { engine, sparsity: 0, write };
}

describe('takeTurns', () => {
  it('times the first piece and those after it apart, in turns, without the first round', async () => {
    const calls = [];
    const a = variant('a', ['one', ' two', ' three'], { promptMs: 60, tokenMs: 20, calls });
    const b = variant('b', ['x', 'y', 'z'], { calls });
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const turns = await takeTurns([a, b], { tokens: 3, rounds: 2, pauseMs: 0 });
    clock.mockRestore();
    expect(calls).toEqual(['b', 'a', 'a', 'b', 'b', 'a']);
    expect(turns[0]).toMatchObject({ engine: 'a', text: 'one two three', promptTokens: 5, zeros: 0.25 });
    expect(turns.map(({ promptMs, decodeMs }) => [promptMs, decodeMs])).toEqual([
      [
        [60, 60],
        [40, 40],
      ],
      [
        [0, 0],
        [0, 0],
      ],
    ]);
    expect(turns[0].pieces).toBeUndefined();
  });

  it('refuses a text that ended early, and another prompt', async () => {
    const short = variant('short', ['a', 'b']);
    await expect(takeTurns([short], { tokens: 3, rounds: 1, pauseMs: 0 })).rejects.toThrow(
      'short wrote 2 tokens: expected 3.',
    );
    const others = [variant('a', ['a']), variant('b', ['b'], { promptTokens: 6 })];
    await expect(takeTurns(others, { tokens: 1, rounds: 1, pauseMs: 0 })).rejects.toThrow(
      'b read 6 tokens: expected 5.',
    );
  });
});

it('asks our model for each share of zeros at every point, and counts pieces with a token', async () => {
  const asked = [];
  const model = {
    async *generate(prompt, options) {
      asked.push({ prompt, ...options });
      yield { id: 1, text: 'a' };
      yield { id: null, text: 'held back' };
      return { promptTokens: 4, sparsity: 0.5 };
    },
  };
  const [, half] = ourVariants(model, [0, 0.5], { prompt: 'p', tokens: 1 });
  const [turn] = await takeTurns([half], { tokens: 1, rounds: 1, pauseMs: 0 });
  expect(turn).toMatchObject({ engine: 'qsparse', sparsity: 0.5, text: 'a', promptTokens: 4, zeros: 0.5 });
  const sparsity = { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.5 };
  expect(asked[0]).toEqual({ prompt: 'p', maxTokens: 1, temperature: 0, sparsity });
});
