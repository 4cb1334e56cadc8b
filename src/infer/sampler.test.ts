import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QSparseError, UsageError } from '../util/errors.ts';
import { Sampler, type SamplerOptions } from './sampler.ts';

const logitsOf = (probabilities: number[]) => Float64Array.from(probabilities, Math.log);

/** How often each id comes out of `draws` draws, as a share. */
function shares(logits: Float64Array, options: SamplerOptions, draws = 4000): number[] {
  const sampler = new Sampler({ seed: 5, ...options });
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < draws; i++) counts[sampler.sample(logits)]++;
  return counts.map((count) => count / draws);
}

/** The ids that can come out at all. */
function reachable(logits: Float64Array, options: SamplerOptions): number[] {
  return shares(logits, options).flatMap((share, id) => (share > 0 ? [id] : []));
}

describe('greedy', () => {
  it('takes the largest logit, the lower id of equals, and draws nothing', () => {
    expect(new Sampler({ temperature: 0 }).sample(Float32Array.of(1, 3, -2, 3))).toBe(1);
    expect(new Sampler({ temperature: 0 }).sample(Float32Array.of(2, 2, 2))).toBe(0);
  });

  it('never takes -Infinity and always +Infinity, at any temperature', () => {
    for (const temperature of [0, 0.5, 100]) {
      const sampler = new Sampler({ temperature });
      expect(sampler.sample(Float32Array.of(-Infinity, -1e30, -Infinity))).toBe(1);
      expect(sampler.sample(Float32Array.of(5, Infinity, Infinity))).toBe(1);
    }
  });

  it('refuses NaN and logits that are all -Infinity', () => {
    for (const temperature of [0, 1]) {
      const sampler = new Sampler({ temperature });
      expect(() => sampler.sample(Float32Array.of(1, NaN, 2))).toThrow(QSparseError);
      expect(() => sampler.sample(Float32Array.of(NaN, 1))).toThrow('token 0');
      expect(() => sampler.sample(Float32Array.of(-Infinity, -Infinity))).toThrow('-Infinity');
    }
  });
});

describe('drawing', () => {
  it('follows the softmax of logits / temperature', () => {
    const logits = logitsOf([0.5, 0.3, 0.2]);
    const plain = shares(logits, {}, 20000);
    [0.5, 0.3, 0.2].forEach((p, id) => {
      expect(Math.abs(plain[id] - p)).toBeLessThan(0.02); // 5 standard deviations of 20000 draws
    });
    const squared = [0.25, 0.09, 0.04].map((p) => p / 0.38); // temperature 1/2 squares the probabilities
    const sharp = shares(logits, { temperature: 0.5 }, 20000);
    squared.forEach((p, id) => {
      expect(Math.abs(sharp[id] - p)).toBeLessThan(0.02);
    });
  });

  it('is the same for the same seed and another for another', () => {
    const logits = Float64Array.from({ length: 50 }, (_, i) => Math.sin(i));
    const run = (seed: number) => {
      const sampler = new Sampler({ seed, topP: 0.9 });
      return Array.from({ length: 30 }, () => sampler.sample(logits));
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  it('leaves the logits as they are', () => {
    const logits = Float32Array.of(1, 2, 3);
    new Sampler({ repetitionPenalty: 2, topK: 2, topP: 0.5 }).sample(logits, [0, 1, 2]);
    expect([...logits]).toEqual([1, 2, 3]);
  });
});

describe('filters', () => {
  it('top-k keeps exactly k, ties to the lower id', () => {
    expect(reachable(logitsOf([0.1, 0.3, 0.2, 0.2, 0.2]), { topK: 3 })).toEqual([1, 2, 3]);
    expect(reachable(logitsOf([0.5, 0.5]), { topK: 9 })).toEqual([0, 1]);
  });

  it('top-p keeps the token that crosses and none after it', () => {
    const logits = logitsOf([0.1, 0.5, 0.25, 0.15]);
    expect(reachable(logits, { topP: 0.4 })).toEqual([1]);
    expect(reachable(logits, { topP: 0.51 })).toEqual([1, 2]);
    expect(reachable(logits, { topP: 0.8 })).toEqual([1, 2, 3]);
    expect(reachable(logits, { topP: 1e-9 })).toEqual([1]);
  });

  it('top-p counts shares of what top-k left', () => {
    // Of [0.5, 0.25] the first holds two thirds: enough for 0.6, though it holds only half of everything.
    expect(reachable(logitsOf([0.5, 0.25, 0.15, 0.1]), { topK: 2, topP: 0.6 })).toEqual([0]);
    expect(reachable(logitsOf([0.5, 0.25, 0.15, 0.1]), { topP: 0.6 })).toEqual([0, 1]);
  });

  it('min-p is relative to the most probable', () => {
    expect(reachable(logitsOf([0.6, 0.29, 0.31, 0.05].map((p) => p / 1.25)), { minP: 0.5 })).toEqual([0, 2]);
    expect(reachable(logitsOf([0.5, 0.5]), { minP: 1 })).toEqual([0, 1]);
  });

  it('the smallest set of top-p, against a full sort', () => {
    const property = fc.property(
      fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 60 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.integer({ min: 0, max: 70 }),
      fc.integer({ min: 0, max: 1000 }),
      (values, topP, topK, seed) => {
        const max = Math.max(...values);
        let order = values.map((value, id) => ({ id, p: Math.exp(value - max) }));
        order.sort((a, b) => b.p - a.p || a.id - b.id);
        if (topK > 0) order = order.slice(0, topK);
        const total = order.reduce((sum, { p }) => sum + p, 0);
        let before = 0;
        // A margin where the cut falls within rounding of a sum.
        const allowed = order.filter(({ p }) => {
          const keep = before < topP * total * (1 + 1e-12);
          before += p;
          return keep;
        });
        const sampler = new Sampler({ topP, topK, seed });
        for (let i = 0; i < 8; i++) {
          expect(allowed.map(({ id }) => id)).toContain(sampler.sample(Float64Array.from(values)));
        }
      },
    );
    fc.assert(property, { numRuns: 200 });
  });
});

describe('repetition penalty', () => {
  it('divides positive and multiplies negative logits of tokens that occurred, once each', () => {
    const greedy = (penalty: number, seen: number[]) =>
      new Sampler({ temperature: 0, repetitionPenalty: penalty }).sample(Float32Array.of(3, 2, -1), seen);
    expect(greedy(2, [])).toBe(0);
    expect(greedy(2, [0])).toBe(1);
    expect(greedy(1.4, [0, 0, 0])).toBe(0); // 3 / 1.4 > 2: a second division would lose it
    const negative = new Sampler({ temperature: 0, repetitionPenalty: 2 });
    expect(negative.sample(Float32Array.of(-1, -1.5), [0])).toBe(1);
  });
});

it('refuses options out of range', () => {
  const wrong: SamplerOptions[] = [
    { temperature: -1 },
    { temperature: NaN },
    { topK: 1.5 },
    { topP: 0 },
    { topP: 1.1 },
    { minP: -0.1 },
    { repetitionPenalty: 0 },
  ];
  for (const options of wrong) expect(() => new Sampler(options), JSON.stringify(options)).toThrow(UsageError);
});
