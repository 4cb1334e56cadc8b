import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect, FakeTokenModel } from '../../test/support/fake-token-model.ts';
import { UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { generateTokens } from './generate-tokens.ts';
import { Sampler } from './sampler.ts';
import { DraftHistory, Speculation, type SpeculationOptions } from './speculation.ts';

/** A run of one token costs 1, each further one this much. */
const linear = (marginal: number) => (tokens: number) => 1 + marginal * (tokens - 1);

/** A text that always has a draft. */
const REPEATED = Array.from({ length: 40 }, (_, i) => i % 5);

interface Outcome {
  tokens: number;
  drafts: number;
  spentMs: number;
  plainMs: number;
}

/** Decodes with drafts of which each id is right with probability `right(step)` if the ones before it are. */
function decode(options: SpeculationOptions, right: (step: number) => number, steps = 2000, sequences = 1): Outcome {
  const speculation = new Speculation(options);
  const histories = Array.from({ length: sequences }, () => new DraftHistory());
  const prng = new Prng(5);
  const outcome = { tokens: 0, drafts: 0, spentMs: 0, plainMs: 0 };
  const exploration = options.exploration ?? 0.02;
  let worst = 0;
  for (let step = 0; step < steps; step++) {
    speculation.beginStep(sequences);
    let acceptedTokens = 0;
    let run = sequences;
    for (const history of histories) {
      const { length } = speculation.draft(history, REPEATED, 20);
      let accepted = 0;
      while (accepted < length && prng.next() < right(step)) accepted++;
      if (length > 0) {
        history.settle(length, accepted);
        outcome.drafts++;
      }
      acceptedTokens += accepted;
      run += length;
    }
    speculation.endStep(acceptedTokens);
    outcome.tokens += sequences + acceptedTokens;
    outcome.spentMs += options.costOf(run);
    outcome.plainMs += (options.costOf(sequences) * (sequences + acceptedTokens)) / sequences;
    worst = Math.max(worst, outcome.spentMs / outcome.plainMs);
  }
  // At every moment, not only at the end.
  expect(worst).toBeLessThanOrEqual((1 + exploration) * (1 + 1e-12));
  expect(speculation.account.spentMs).toBeCloseTo(outcome.spentMs, 6);
  expect(speculation.account.plainMs).toBeCloseTo(outcome.plainMs, 6);
  return outcome;
}

const speedUp = ({ spentMs, plainMs }: Outcome) => plainMs / spentMs;

describe('the length of drafts', () => {
  it('is 0 where more tokens cost as much more: sparse masks that have nothing in common', () => {
    expect(decode({ costOf: linear(1) }, () => 1).drafts).toBe(0);
    expect(decode({ costOf: linear(1.2) }, () => 1).drafts).toBe(0);
  });

  it('is long where drafts are cheap and right', () => {
    const cheap = decode({ costOf: linear(0.05) }, () => 1);
    // At most 9 tokens for the price of 1.4.
    expect(speedUp(cheap)).toBeGreaterThan(0.95 * (9 / 1.4));
    expect(speedUp(cheap)).toBeLessThanOrEqual(9 / 1.4);
  });

  it('follows how often drafts are right', () => {
    // The best fixed length, by the formula: the adaptive one may lose a little to trials.
    for (const [marginal, right] of [
      [0.1, 0.8],
      [0.3, 0.6],
      [0.2, 0.4],
      [0.5, 0.9],
    ]) {
      let ideal = 1;
      for (let length = 1; length <= 8; length++) {
        const expected = (1 - right ** (length + 1)) / (1 - right);
        ideal = Math.max(ideal, expected / linear(marginal)(1 + length));
      }
      const got = speedUp(decode({ costOf: linear(marginal) }, () => right, 6000));
      expect(got).toBeGreaterThan(1 + 0.8 * (ideal - 1));
      expect(got).toBeLessThan(1.05 * ideal);
    }
  });

  it('falls to next to nothing where drafts are wrong, and to little where they do not pay', () => {
    const wrong = decode({ costOf: linear(0.3) }, () => 0);
    expect(wrong.drafts).toBeLessThan(0.1 * 2000);
    const unprofitable = decode({ costOf: linear(0.7) }, () => 0.5);
    expect(unprofitable.drafts).toBeLessThan(0.1 * 2000);
  });

  it('comes back when the text begins to repeat itself', () => {
    const late = decode({ costOf: linear(0.1) }, (step) => (step < 1000 ? 0 : 1));
    expect(speedUp(late)).toBeGreaterThan(3);
  });

  it('counts what others decode in the same run', () => {
    // Alone a second token costs a tenth of the first; behind eight others as much as each of them.
    const costOf = (tokens: number) => (tokens <= 8 ? 1 + 0.1 * (tokens - 1) : (1.7 * tokens) / 8);
    expect(decode({ costOf }, () => 0.9, 500, 1).drafts).toBeGreaterThan(400);
    expect(decode({ costOf }, () => 0.9, 500, 8).drafts).toBe(0);
    expect(speedUp(decode({ costOf }, () => 0.9, 500, 4))).toBeGreaterThan(1.1);
  });

  it('never loses more than the exploration share, at any costs and against any text', () => {
    const property = fc.property(
      fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 30, maxLength: 30 }),
      fc.array(fc.constantFrom(0, 0.2, 0.9, 1), { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0, 0.01, 0.1),
      fc.integer({ min: 1, max: 4 }),
      (steps, moods, exploration, sequences) => {
        const costs = steps.map((_, i) => 0.5 + steps.slice(0, i).reduce((a, b) => a + b, 0));
        const costOf = (tokens: number) => costs[Math.min(tokens, costs.length - 1)];
        decode({ costOf, exploration }, (step) => moods[step % moods.length], 150, sequences); // expects it at every step
      },
    );
    fc.assert(property, { numRuns: 100 });
  });

  it('respects room and maxDraft, and a text without a match', () => {
    const speculation = new Speculation({ costOf: () => 1, maxDraft: 3, exploration: 10 });
    speculation.beginStep(1);
    const lengthOf = (ids: number[], room: number) => speculation.draft(new DraftHistory(), ids, room).length;
    expect(lengthOf(REPEATED, 20)).toBe(3);
    expect(lengthOf(REPEATED, 2)).toBe(2);
    expect(lengthOf(REPEATED, 0)).toBe(0);
    expect(lengthOf([1, 2, 3], 20)).toBe(0);
  });

  it('refuses options and costs that are none', () => {
    expect(() => new Speculation({ costOf: linear(1), maxDraft: 0.5 })).toThrow(UsageError);
    expect(() => new Speculation({ costOf: linear(1), exploration: -1 })).toThrow(UsageError);
    for (const cost of [0, -1, Number.NaN, Infinity]) {
      const speculation = new Speculation({ costOf: () => cost });
      expect(() => speculation.endStep(0)).toThrow('costOf(1) must be a positive number');
    }
  });
});

describe('drafts and temperature', () => {
  it('leave the distribution of whole texts as it is', async () => {
    // Three ids, texts of three: all 27 and their exact probabilities. Logits depend on the last two ids.
    const logitsOf = (ids: readonly number[]) => {
      const [before, last] = ids.slice(-2);
      return Float32Array.from(
        { length: 3 },
        (_, id) => Math.sin(before * 5 + last * 3 + id * 2) + (id === before ? 1 : 0),
      );
    };
    const prompt = [0, 1, 2, 0, 1];
    const probabilityOf = (text: number[]) => {
      let probability = 1;
      for (const [i, id] of text.entries()) {
        const weights = [...logitsOf([...prompt, ...text.slice(0, i)])].map((logit) => Math.exp(logit));
        probability *= weights[id] / weights.reduce((a, b) => a + b);
      }
      return probability;
    };
    const model = new FakeTokenModel({ vocabSize: 3, logitsOf });
    const speculation = new Speculation({ costOf: () => 1 });
    const sampler = new Sampler({ seed: 3 });
    const counts = new Map<string, number>();
    const draws = 4000;
    for (let i = 0; i < draws; i++) {
      const { ids } = await collect(generateTokens(model, prompt, { sampler, maxTokens: 3, speculation }));
      counts.set(ids.join(), (counts.get(ids.join()) ?? 0) + 1);
    }
    let chiSquare = 0;
    for (let text = 0; text < 27; text++) {
      const ids = [Math.floor(text / 9), Math.floor(text / 3) % 3, text % 3];
      const expected = draws * probabilityOf(ids);
      chiSquare += ((counts.get(ids.join()) ?? 0) - expected) ** 2 / expected;
    }
    expect(chiSquare).toBeLessThan(26 + 4 * Math.sqrt(52));
    // Drafts there were: the first run takes the prompt, three more would be needed without.
    expect(model.runs.length).toBeLessThan(2.7 * draws);
  });
});
