import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeTokenModel, hashedLogits } from '../../test/support/fake-token-model.ts';
import { UsageError } from '../util/errors.ts';
import type { Scored, ScoreRequest } from './score-request.ts';
import { scoreRequests } from './score-requests.ts';

const VOCAB = 7;

/** The plainest way: the logits of the whole text before each id. */
function plainly({ context, continuation }: ScoreRequest, logitsOf = hashedLogits(VOCAB), sparsity?: number): Scored {
  const ids = [...context];
  const logprobs: number[] = [];
  let greedy = true;
  for (const id of continuation) {
    const logits = Float32Array.from(logitsOf(ids, sparsity === undefined ? {} : { sparsity }));
    logprobs.push(logits[id] - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)));
    greedy &&= logits.every((logit, other) => logit < logits[id] || other === id);
    ids.push(id);
  }
  return { logprobs, greedy };
}

async function score(model: FakeTokenModel, requests: readonly ScoreRequest[], lanes?: number, sparsity?: number) {
  const results: Scored[] = [];
  const tokens = await scoreRequests(model, requests, {
    ...(lanes === undefined ? {} : { lanes }),
    ...(sparsity === undefined ? {} : { sparsity }),
    onScored: (index, scored) => {
      expect(results[index]).toBeUndefined();
      results[index] = { logprobs: [...scored.logprobs], greedy: scored.greedy };
    },
  });
  return { results, tokens };
}

function expectAlike(results: readonly Scored[], expected: readonly Scored[]): void {
  expect(results.length).toBe(expected.length);
  for (const [i, { logprobs, greedy }] of expected.entries()) {
    expect(results[i].logprobs.length).toBe(logprobs.length);
    for (const [j, logprob] of logprobs.entries()) expect(results[i].logprobs[j]).toBeCloseTo(logprob, 10);
    expect(results[i].greedy).toBe(greedy);
  }
}

const ids = (minLength: number) => fc.array(fc.nat(2), { minLength, maxLength: 6 });
const requestsOf = fc.array(fc.record({ context: ids(1), continuation: ids(1) }), { maxLength: 25 });

describe('scoreRequests', () => {
  it('gives what each request has alone, whatever begins alike and however it is batched', async () => {
    await fc.assert(
      fc.asyncProperty(
        requestsOf,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(6),
        async (requests, lanes, maxBatchTokens, oldest) => {
          const model = new FakeTokenModel({ vocabSize: VOCAB, maxTokens: 11, maxSequences: 3, maxBatchTokens });
          model.oldestTruncation = oldest;
          const { results } = await score(model, requests, lanes);
          expectAlike(
            results,
            requests.map((request) => plainly(request)),
          );
          expect(model.breaches).toEqual([]);
          expect(model.live.size).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('runs every distinct beginning once, and never a last id', async () => {
    const question = [1, 2, 3, 4];
    const requests = [[5, 6], [5, 1, 2], [5, 6, 3], [2]].map((continuation) => ({ context: question, continuation }));
    const model = new FakeTokenModel({ vocabSize: VOCAB, maxSequences: 1 });
    const { tokens, results } = await score(model, requests);
    expectAlike(
      results,
      requests.map((request) => plainly(request)),
    );
    expect(tokens).toBe(4 + 1 + 1 + 1); // the question; 5, and behind it 1 and 6
    expect(model.tokens).toBe(tokens);
  });

  it('divides the requests among sequences without dividing a question', async () => {
    const requests = [1, 2, 3, 4].flatMap((first) =>
      [5, 6].map((last) => ({ context: [first, 0, 0, 0, 0], continuation: [last] })),
    );
    const model = new FakeTokenModel({ vocabSize: VOCAB, maxSequences: 2, maxBatchTokens: 10 });
    const { tokens } = await score(model, requests);
    expect(tokens).toBe(4 * 5);
    expect(model.runs).toEqual([
      [5, 5],
      [5, 5],
    ]);
  });

  it('passes the sparsity on, and ends early where it is told to', async () => {
    const requests = [3, 4].map((first) => ({ context: [first], continuation: [1, 2] }));
    const model = new FakeTokenModel({ vocabSize: VOCAB });
    const { results } = await score(model, requests, 2, 0.5);
    expectAlike(
      results,
      requests.map((request) => plainly(request, undefined, 0.5)),
    );
    const stopped: number[] = [];
    const signal = AbortSignal.abort();
    await scoreRequests(model, requests, { signal, onScored: (index) => stopped.push(index) });
    expect(stopped).toEqual([]);
    expect(model.live.size).toBe(0);
  });

  it('refuses what does not fit and logits that are no numbers, and releases its sequences', async () => {
    const model = new FakeTokenModel({ vocabSize: VOCAB, maxTokens: 3 });
    const run = (request: ScoreRequest) => scoreRequests(model, [request], { onScored: () => {} });
    await expect(run({ context: [1, 2], continuation: [1, 2, 3] })).rejects.toThrow(UsageError);
    await expect(run({ context: [], continuation: [1] })).rejects.toThrow(/got 0 and 1 tokens/);
    const broken = new FakeTokenModel({ vocabSize: 2, logitsOf: () => [0, Number.NaN] });
    await expect(scoreRequests(broken, [{ context: [1], continuation: [1] }], { onScored: () => {} })).rejects.toThrow(
      /no numbers/,
    );
    expect(broken.live.size).toBe(0);
  });
});
