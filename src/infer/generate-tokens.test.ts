import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect, FakeTokenModel, plainTokens } from '../../test/support/fake-token-model.ts';
import { UsageError } from '../util/errors.ts';
import { type GenerateOptions, generateTokens } from './generate-tokens.ts';
import { logprobsOf } from './logprobs.ts';
import { Sampler } from './sampler.ts';
import { Speculation } from './speculation.ts';

/** Predicts id + 1 after id, in a vocabulary of 100. */
const counter = (maxTokens = 50) =>
  new FakeTokenModel({
    vocabSize: 100,
    maxTokens,
    logitsOf: (ids) => Float32Array.from({ length: 100 }, (_, id) => (id === ids[ids.length - 1] + 1 ? 1 : 0)),
  });

const greedy = () => new Sampler({ temperature: 0 });

describe('generateTokens', () => {
  it('ends at maxTokens without a run more than needed', async () => {
    const model = counter();
    const got = await collect(generateTokens(model, [3, 4], { sampler: greedy(), maxTokens: 3 }));
    expect(got).toEqual({ ids: [5, 6, 7], reason: 'length' });
    expect(model.runs).toEqual([[2], [1], [1]]);
    expect(model.live.size).toBe(0);
  });

  it('runs the model only when the next token is asked for', async () => {
    const model = counter();
    const tokens = generateTokens(model, [3], { sampler: greedy() });
    expect(model.runs).toHaveLength(0);
    await tokens.next();
    await tokens.next();
    expect(model.runs).toHaveLength(2);
    await tokens.return('aborted');
    expect(model.live.size).toBe(0);
  });

  it('ends before a stop token', async () => {
    const got = await collect(generateTokens(counter(), [0], { sampler: greedy(), stopIds: [4, 50] }));
    expect(got).toEqual({ ids: [1, 2, 3], reason: 'stop' });
  });

  it('fills the context and no more', async () => {
    const model = counter(5);
    const got = await collect(generateTokens(model, [0, 1], { sampler: greedy() }));
    expect(got).toEqual({ ids: [2, 3, 4, 5], reason: 'context' }); // the last needs no place: nothing follows it
    expect(model.tokens).toBe(5);
  });

  it('takes a prompt in chunks of what the model takes', async () => {
    const model = counter();
    const promptIds = Array.from({ length: 19 }, (_, i) => i);
    expect((await collect(generateTokens(model, promptIds, { sampler: greedy(), maxTokens: 1 }))).ids).toEqual([19]);
    expect(model.runs).toEqual([[8], [8], [3]]);
  });

  it('ends when the signal is aborted, with what there is', async () => {
    const abort = new AbortController();
    const model = counter();
    const tokens = generateTokens(model, [0], { sampler: greedy(), signal: abort.signal });
    expect((await tokens.next()).value).toEqual({ id: 1 });
    abort.abort();
    expect(await tokens.next()).toEqual({ done: true, value: 'aborted' });
    expect(model.live.size).toBe(0);
  });

  it('lets timers run while it generates', async () => {
    const model = counter(1000);
    model.beforeRun = () => {
      const until = performance.now() + 2;
      while (performance.now() < until);
    };
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 30);
    const options = { sampler: greedy(), signal: abort.signal, stopIds: [] };
    const { ids, reason } = await collect(generateTokens(model, [0], options));
    expect(reason).toBe('aborted');
    expect(ids.length).toBeLessThan(90);
  });

  it('yields nothing for maxTokens 0', async () => {
    const model = counter();
    const got = await collect(generateTokens(model, [0], { sampler: greedy(), maxTokens: 0 }));
    expect(got).toEqual({ ids: [], reason: 'length' });
    expect(model.runs).toEqual([]);
  });

  it('runs a sequence at its own sparsity', async () => {
    const model = new FakeTokenModel();
    const request = { promptIds: [1, 2, 3], maxTokens: 8 };
    const at = async (sparsity: number) =>
      (await collect(generateTokens(model, request.promptIds, { sampler: greedy(), maxTokens: 8, sparsity }))).ids;
    expect(await at(0.5)).toEqual(
      plainTokens(model, { ...request, sampler: greedy(), options: { sparsity: 0.5 } }).ids,
    );
    expect(await at(0.5)).not.toEqual(await at(0.25));
  });

  it('gives log-probabilities of the logits as they are, whatever the sampler does to them', async () => {
    const model = new FakeTokenModel();
    const sampler = new Sampler({ temperature: 3, topK: 5, repetitionPenalty: 2, seed: 4 });
    const ids = [1, 2];
    for await (const token of generateTokens(model, [1, 2], { sampler, maxTokens: 6, logprobs: 3 })) {
      expect(token.logprobs).toEqual(logprobsOf(Float32Array.from(model.logitsOf(ids, {})), token.id, 3));
      ids.push(token.id);
    }
    expect(ids).toHaveLength(8);
  });

  it('releases the sequence where the model or the sampler throws', async () => {
    const model = counter();
    model.beforeRun = () => {
      if (model.runs.length === 2) throw new Error('out of order');
    };
    await expect(collect(generateTokens(model, [0], { sampler: greedy() }))).rejects.toThrow('out of order');
    expect(model.live.size).toBe(0);
    const broken = new FakeTokenModel({ logitsOf: () => new Float32Array(23).fill(Number.NaN) });
    await expect(collect(generateTokens(broken, [0], { sampler: greedy() }))).rejects.toThrow('NaN');
    expect(broken.live.size).toBe(0);
  });

  it('refuses what cannot be served before anything runs', async () => {
    const model = counter(4);
    const refused = async (promptIds: number[], options: Partial<GenerateOptions>, message: string) => {
      const tokens = collect(generateTokens(model, promptIds, { sampler: greedy(), ...options }));
      await expect(tokens).rejects.toThrow(UsageError);
      await expect(tokens).rejects.toThrow(message);
    };
    await refused([], {}, 'the prompt is empty');
    await refused([1, 2, 3, 4, 5], {}, 'at most 4 tokens (the context), got 5');
    for (const id of [-1, 100, 0.5, Number.NaN]) await refused([id], {}, 'outside the vocabulary');
    for (const maxTokens of [-1, 0.5, Number.NaN]) await refused([1], { maxTokens }, 'maxTokens');
    await refused([1], { logprobs: -1 }, 'logprobs');
    expect(model.runs).toEqual([]);
    expect(model.live.size).toBe(0);
  });

  it('runs no id twice that a draft had right', async () => {
    const logitsOf = (ids: readonly number[]) =>
      Float32Array.from({ length: 23 }, (_, id) => (id === ids.at(-3) ? 1 : 0));
    const model = new FakeTokenModel({ maxTokens: 100, maxBatchTokens: 6, logitsOf });
    const options = { sampler: greedy(), maxTokens: 60, speculation: new Speculation({ costOf: () => 1 }) };
    expect((await collect(generateTokens(model, [1, 2, 3, 1, 2, 3], options))).ids).toHaveLength(60);
    expect(model.tokens).toBe(6 + 59); // no draft was wrong
    expect(model.runs).toHaveLength(1 + Math.ceil(59 / 6));
  });

  it('gives what the plainest loop gives, with speculation too', async () => {
    const property = fc.asyncProperty(
      fc.record({
        promptIds: fc.array(fc.nat(22), { minLength: 1, maxLength: 20 }),
        maxTokens: fc.nat(30),
        stopIds: fc.array(fc.nat(22), { maxLength: 2 }),
        temperature: fc.constantFrom(0, 0.3, 1),
        repetitionPenalty: fc.constantFrom(1, 1.3),
        frequencyPenalty: fc.constantFrom(0, 0.5),
        seed: fc.nat(1000),
        maxBatchTokens: fc.integer({ min: 1, max: 12 }),
        marginalCost: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      }),
      async ({ promptIds, maxTokens, stopIds, maxBatchTokens, marginalCost, ...sampling }) => {
        // Mostly repeats itself, so that drafts are right often and wrong often.
        const logitsOf = (ids: readonly number[]) =>
          Float32Array.from({ length: 23 }, (_, id) => (id === ids.at(-5) ? 3 : ((id * 7 + ids.length) % 23) / 8));
        const model = new FakeTokenModel({ maxBatchTokens, logitsOf });
        const options: GenerateOptions = { sampler: new Sampler(sampling), maxTokens, stopIds };
        if (marginalCost !== null) {
          options.speculation = new Speculation({
            costOf: (tokens) => 1 + marginalCost * (tokens - 1),
            exploration: 1,
          });
        }
        const got = await collect(generateTokens(model, promptIds, options));
        expect(got).toEqual(plainTokens(model, { promptIds, maxTokens, stopIds, sampler: new Sampler(sampling) }));
        expect(model.live.size).toBe(0);
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });
});
