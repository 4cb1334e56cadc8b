import { describe, expect, it } from 'vitest';
import {
  describeProtocol,
  llamaProtocol,
  type PerplexityProtocol,
  perplexityOf,
  windowScore,
  windowsOf,
} from './perplexity.ts';
import type { ScoreRequest } from './score-request.ts';

const ids = (count: number) => Array.from({ length: count }, (_, i) => i);
const protocol = (changes: Partial<PerplexityProtocol>): PerplexityProtocol => ({
  window: 4,
  stride: 4,
  minContext: 1,
  prefixId: null,
  ...changes,
});
const texts = (requests: readonly ScoreRequest[]) =>
  requests.map(({ context, continuation }) => `${context.join(' ')} | ${continuation.join(' ')}`);

describe('windowsOf', () => {
  it('plain: the first token of each window is not scored', () => {
    expect(texts(windowsOf([ids(10)], protocol({})))).toEqual(['0 | 1 2 3', '4 | 5 6 7', '8 | 9']);
    expect(texts(windowsOf([ids(9)], protocol({})))).toEqual(['0 | 1 2 3', '4 | 5 6 7']);
  });

  it('sliding: every token but the first is scored, once, behind as much as there is', () => {
    expect(texts(windowsOf([ids(9)], protocol({ stride: 2 })))).toEqual([
      '0 | 1 2 3',
      '2 3 | 4 5',
      '4 5 | 6 7',
      '6 7 | 8',
    ]);
    expect(texts(windowsOf([ids(6)], protocol({ stride: 1 })))).toEqual(['0 | 1 2 3', '1 2 3 | 4', '2 3 4 | 5']);
  });

  it('a prefix is context, and first tokens are scored', () => {
    expect(texts(windowsOf([ids(6)], protocol({ prefixId: 99 })))).toEqual(['99 | 0 1 2 3', '99 | 4 5']);
  });

  it('minContext leaves tokens out, as llama-perplexity does, which knows whole windows only and begins each with a BOS', () => {
    expect(texts(windowsOf([ids(11)], llamaProtocol(4, null)))).toEqual(['0 1 2 | 3', '4 5 6 | 7']);
    expect(texts(windowsOf([ids(11)], llamaProtocol(4, 99)))).toEqual(['99 0 1 | 2', '99 4 5 | 6', '99 8 9 | 10']);
    expect(texts(windowsOf([ids(10)], llamaProtocol(5, 99)))).toEqual(['99 0 1 | 2 3', '99 5 6 | 7 8']);
    expect(() => windowsOf([ids(3)], llamaProtocol(4, null))).toThrow(
      /the text has 3 tokens, and none would be scored/,
    );

    expect(texts(windowsOf([ids(8)], protocol({ minContext: 3 })))).toEqual(['0 1 2 | 3', '4 5 6 | 7']);
    const chunks = windowsOf([ids(1024)], protocol({ window: 512, stride: 512, minContext: 257 }));
    expect(chunks.map(({ continuation }) => [continuation[0], continuation.length])).toEqual([
      [257, 255],
      [769, 255],
    ]);
  });

  it('texts know nothing of each other, and one may be too short to be scored', () => {
    expect(texts(windowsOf([ids(5), ids(1), ids(3)], protocol({})))).toEqual(['0 | 1 2 3', '0 | 1 2']);
    const prefixed = protocol({ prefixId: 99 });
    expect(texts(windowsOf([ids(5), ids(1)], prefixed))).toEqual(['99 | 0 1 2 3', '99 | 4', '99 | 0']);
    expect(() => windowsOf([ids(1), ids(1)], protocol({}))).toThrow(/the text has 2 tokens, and none would be scored/);
  });

  it('refuses what makes no sense', () => {
    expect(() => windowsOf([ids(1)], protocol({}))).toThrow(/the text has 1 tokens, and none would be scored/);
    expect(() => windowsOf([ids(9)], protocol({ stride: 5 }))).toThrow(
      /the stride must be from 1 to the window of 4 tokens, got 5/,
    );
    expect(() => windowsOf([ids(9)], protocol({ window: 1 }))).toThrow(/window must be/);
    expect(() => windowsOf([ids(9)], protocol({ minContext: 4 }))).toThrow(/minContext must be from 1 to 3/);
  });
});

it('perplexityOf: by hand', () => {
  const windows = [[Math.log(0.5), Math.log(0.25)], [Math.log(0.125)]].map((logprobs) =>
    windowScore({ logprobs, greedy: false }),
  );
  const { tokens, natsPerToken, natsStderr, perplexity, bitsPerByte } = perplexityOf(windows, 4);
  expect(tokens).toBe(3);
  expect(natsPerToken).toBeCloseTo(2 * Math.LN2, 12); // (1 + 2 + 3) / 3 bits
  expect(perplexity).toBeCloseTo(4, 12);
  expect(bitsPerByte).toBeCloseTo(0.5, 12);
  expect(natsStderr).toBeCloseTo(Math.LN2 * Math.sqrt(2 / 3 / 2), 12); // variance 2/3 of 1, 2, 3, over n - 1
});

it('describeProtocol', () => {
  expect(describeProtocol(protocol({}))).toBe(
    'plain windows, 4 tokens, nothing in front; scored: every token with another before it in its window, once',
  );
  expect(describeProtocol(protocol({ stride: 2, prefixId: 1, minContext: 2 }))).toBe(
    'sliding windows with a stride of 2, 4 tokens, token 1 in front of each; scored: tokens with 2 or more before them in its window, once',
  );
  const scored = 'scored: tokens with 3 or more before them in its window, once';
  expect(describeProtocol(llamaProtocol(4, 1))).toBe(
    `whole plain windows (llama-perplexity), 4 tokens, nothing in front, token 1 as the first of each; ${scored}`,
  );
  expect(describeProtocol(llamaProtocol(4, null))).toBe(
    `whole plain windows (llama-perplexity), 4 tokens, nothing in front; ${scored}`,
  );
});
