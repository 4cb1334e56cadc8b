import { describe, expect, it } from 'vitest';
import { FakeTokenModel } from '../../test/support/fake-token-model.ts';
import { UsageError } from '../util/errors.ts';
import { measureStepCost } from './measure-step-cost.ts';

/** A model that takes as long as `costOf` says, by a clock of its own; the first run of each size takes ten times that. */
function timed(costOf: (tokens: number) => number, limits = {}) {
  const model = new FakeTokenModel({ maxTokens: 100, maxBatchTokens: 64, ...limits });
  let ms = 0;
  const seen = new Set<number>();
  model.beforeRun = (batch) => {
    const tokens = batch.reduce((sum, { ids }) => sum + ids.length, 0);
    ms += costOf(tokens) * (seen.has(tokens) ? 1 : 10);
    seen.add(tokens);
  };
  return { model, now: () => ms };
}

describe('measureStepCost', () => {
  it('gives the time of a run, between and beyond the measured sizes too', () => {
    const { model, now } = timed((tokens) => 3 + 2 * tokens);
    const costOf = measureStepCost(model, { now });
    for (const tokens of [1, 2, 3, 7, 16, 30]) expect(costOf(tokens)).toBeCloseTo(3 + 2 * tokens, 9);
    expect(model.live.size).toBe(0);
  });

  it('counts what a run of several costs the token behind it', () => {
    const { model, now } = timed((tokens) => 3 + 2 * tokens);
    const advance = model.beforeRun;
    let afterMany = 0;
    let late = 0;
    model.beforeRun = (batch) => {
      advance(batch);
      const [{ ids }] = batch;
      if (ids.length === 1) late += afterMany;
      afterMany = ids.length > 1 ? 4 : 0;
    };
    const costOf = measureStepCost(model, { now: () => now() + late });
    for (const tokens of [2, 4, 16]) expect(costOf(tokens)).toBeCloseTo(3 + 2 * tokens + 4, 9);
    expect(costOf(1)).toBeCloseTo(5, 9);
  });

  it('asks for all logits, behind a context, at the given sparsity', () => {
    const { model, now } = timed((tokens) => tokens);
    const before = model.beforeRun;
    const wanted: string[] = [];
    model.beforeRun = (batch) => {
      before(batch);
      for (const { sequence, logits } of batch) wanted.push(`${sequence.length} ${logits}`);
    };
    let sparsity: unknown;
    const create = model.createSequence.bind(model);
    model.createSequence = (options) => {
      sparsity = options?.sparsity;
      return create(options);
    };
    measureStepCost(model, { now, maxTokens: 4, repeats: 1, sparsity: 0.5 });
    // 2 and 4, each between three single tokens: warm-up and one repeat.
    expect(wanted).toEqual(['0 none', ...Array.from({ length: 2 * 2 * 4 }, () => '32 all')]);
    expect(sparsity).toBe(0.5);
  });

  it('stays within what the model takes, and never falls beyond', () => {
    const { model, now } = timed((tokens) => 10 - tokens, { maxTokens: 6, maxBatchTokens: 5 });
    const costOf = measureStepCost(model, { now });
    expect([1, 2, 3, 9].map(costOf)).toEqual([9, 8, 7, 7]);
    const narrow = new FakeTokenModel({ maxTokens: 100, maxBatchTokens: 1 });
    expect(() => measureStepCost(narrow)).toThrow('1 tokens at once');
    expect(() => measureStepCost(new FakeTokenModel({ maxTokens: 1 }))).toThrow(UsageError);
  });
});
