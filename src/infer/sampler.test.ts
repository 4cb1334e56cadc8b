import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QSparseError, UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { argmax, type Logits, Sampler, type SamplerOptions } from './sampler.ts';

const logitsOf = (probabilities: number[]) => Float64Array.from(probabilities, Math.log);

/** How often each id comes out of `draws` draws, as a share. */
function shares(logits: Float64Array, options: SamplerOptions, draws = 1500): number[] {
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
    const options = { repetitionPenalty: 2, presencePenalty: 1, logitBias: new Map([[1, 5]]), topK: 2, topP: 0.5 };
    const sampler = new Sampler({ ...options, allowed: () => Uint32Array.of(0b110) });
    sampler.begin([0, 1, 2]);
    for (let i = 0; i < 3; i++) sampler.sample(logits);
    expect([...logits]).toEqual([1, 2, 3]);
  });

  it('draws one random number per token, whatever the filters: the same uniform picks the same share', () => {
    const prng = new Prng(11);
    const sampler = new Sampler({ seed: 11 });
    const logits = logitsOf([0.25, 0.25, 0.25, 0.25]);
    for (let i = 0; i < 100; i++) expect(sampler.sample(logits)).toBe(Math.floor(prng.next() * 4));
  });
});

describe('filters', () => {
  it('top-k keeps exactly k, ties to the lower id', () => {
    expect(reachable(logitsOf([0.1, 0.3, 0.2, 0.2, 0.2]), { topK: 3 })).toEqual([1, 2, 3]);
    expect(reachable(logitsOf([0.5, 0.5]), { topK: 9 })).toEqual([0, 1]);
  });

  it('top-k of a whole vocabulary: ties, the best at the beginning, the best at the end', () => {
    const top3 = (scoreOf: (id: number) => number) =>
      reachable(
        Float64Array.from({ length: 3000 }, (_, id) => scoreOf(id)),
        { topK: 3, temperature: 100 },
      );
    expect(top3(() => 1)).toEqual([0, 1, 2]);
    expect(top3((id) => (id < 1500 ? 1 : 2))).toEqual([1500, 1501, 1502]);
    expect(top3((id) => -id / 100)).toEqual([0, 1, 2]);
    expect(top3((id) => id / 100)).toEqual([2997, 2998, 2999]);
  });

  it('top-p keeps the token that crosses and none after it', () => {
    const logits = logitsOf([0.1, 0.5, 0.25, 0.15]);
    expect(reachable(logits, { topP: 0.4 })).toEqual([1]);
    expect(reachable(logits, { topP: 0.51 })).toEqual([1, 2]);
    expect(reachable(logits, { topP: 0.8 })).toEqual([1, 2, 3]);
    expect(reachable(logits, { topP: 1e-9 })).toEqual([1]);
  });

  it('top-p of a whole vocabulary: many alike, all of another size, a tail that weighs nothing', () => {
    // By the plainest way: sorted, summed, cut. Sums of whole weights are exact in any order.
    const support = (weights: number[], topP: number) => {
      const order = weights.map((_, id) => id).sort((a, b) => weights[b] - weights[a] || a - b);
      const total = weights.reduce((a, b) => a + b);
      let mass = 0;
      const cut = order.findIndex((id) => {
        mass += weights[id];
        return mass >= topP * total;
      });
      return new Set(order.slice(0, cut + 1));
    };
    const shapes: Record<string, (id: number) => number> = {
      alike: () => 64,
      steps: (id) => 2 ** (id % 12),
      falling: (id) => 6000 - id,
      tail: (id) => (id === 1777 ? 2 ** 40 : 1 + (id % 3)),
    };
    for (const [name, weightOf] of Object.entries(shapes)) {
      const weights = Array.from({ length: 3000 }, (_, id) => weightOf(id));
      const logits = logitsOf(weights);
      for (const topP of [0.03, 0.5, 0.9]) {
        const allowed = support(weights, topP * (1 + 1e-9));
        const sampler = new Sampler({ topP, seed: 3 });
        const drawn = new Set(Array.from({ length: 300 }, () => sampler.sample(logits)));
        for (const id of drawn) expect(allowed.has(id), `${name}, topP ${topP}, token ${id}`).toBe(true);
        // Of a wide set most draws are different; one cut too short would show in the largest of them.
        if (name === 'falling') expect(Math.max(...drawn)).toBeGreaterThan(0.97 * allowed.size);
      }
    }
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

  it('min-p changes no share of top-p', () => {
    // The first two are 70 % of everything. Were the others dropped before, the first alone would be 71 % of the rest.
    expect(reachable(logitsOf([0.5, 0.2, 0.15, 0.15]), { topP: 0.65, minP: 0.35 })).toEqual([0, 1]);
  });

  it('the smallest set of top-p, against a full sort', () => {
    const property = fc.property(
      fc.array(fc.integer({ min: -3000, max: 3000 }), { minLength: 1, maxLength: 60 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.integer({ min: 0, max: 70 }),
      fc.integer({ min: 0, max: 1000 }),
      (hundredths, topP, topK, seed) => {
        const values = hundredths.map((value) => value / 100);
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

/** A greedy sampler after a prompt and generated tokens, each of which was forced by logits. */
function greedyAfter(options: SamplerOptions, prompt: number[], generated: number[], vocabSize: number): Sampler {
  const sampler = new Sampler({ temperature: 0, ...options });
  sampler.begin(prompt);
  for (const id of generated) {
    const forced = new Float64Array(vocabSize).fill(-1e9);
    forced[id] = Infinity; // no penalty moves it
    expect(sampler.sample(forced)).toBe(id);
  }
  return sampler;
}

describe('repetition penalty', () => {
  const next = (penalty: number, prompt: number[], logits: Logits, generated: number[] = []) =>
    greedyAfter({ repetitionPenalty: penalty }, prompt, generated, logits.length).sample(logits);

  it('divides positive and multiplies negative logits of tokens that occurred, once each', () => {
    const logits = Float32Array.of(3, 2, -1);
    expect(next(2, [], logits)).toBe(0);
    expect(next(2, [0], logits)).toBe(1);
    expect(next(2, [], logits, [0])).toBe(1); // generated ones count as those of the prompt
    expect(next(1.4, [0, 0, 0], logits, [0])).toBe(0); // 3 / 1.4 > 2: a second division would lose it
    expect(next(2, [0], Float32Array.of(-1, -1.5))).toBe(1);
  });

  it('forgets the sequence before', () => {
    const sampler = greedyAfter({ repetitionPenalty: 2 }, [0], [0], 3);
    sampler.begin([1]);
    expect(sampler.sample(Float32Array.of(3, 2, -1))).toBe(0);
  });
});

describe('presence and frequency penalties', () => {
  const next = (options: SamplerOptions, prompt: number[], generated: number[], logits: number[]) =>
    greedyAfter(options, prompt, generated, logits.length).sample(Float64Array.from(logits));

  it('take presence once and frequency per occurrence, of generated tokens only', () => {
    // Token 0 was generated three times: 5 - 1 - 3 * 0.5 = 2.5.
    const options = { presencePenalty: 1, frequencyPenalty: 0.5 };
    expect(next(options, [], [0, 0, 0], [5, 2.51])).toBe(1);
    expect(next(options, [], [0, 0, 0], [5, 2.49])).toBe(0);
    expect(next(options, [0, 0, 0, 0, 0, 0], [], [5, 4.9])).toBe(0); // the prompt is free
    expect(next({ presencePenalty: 1 }, [], [0, 0, 0], [5, 4.01])).toBe(1);
    expect(next({ presencePenalty: 1 }, [], [0, 0, 0], [5, 3.99])).toBe(0);
  });

  it('encourage where they are negative', () => {
    expect(next({ frequencyPenalty: -1 }, [], [1, 1], [3, 1.5])).toBe(1);
  });
});

describe('logit bias', () => {
  it('is added, and -Infinity forbids', () => {
    const pick = (bias: [number, number][]) =>
      new Sampler({ temperature: 0, logitBias: new Map(bias) }).sample(Float32Array.of(1, 2, 3));
    expect(pick([[0, 2.1]])).toBe(0);
    expect(pick([[0, 1.9]])).toBe(2);
    expect(pick([[2, -Infinity]])).toBe(1);
    expect(reachable(logitsOf([0.4, 0.3, 0.3]), { logitBias: new Map([[1, -Infinity]]) })).toEqual([0, 2]);
  });

  it('refuses ids outside of the vocabulary and biases that are no number', () => {
    const sampler = new Sampler({ logitBias: new Map([[3, 1]]) });
    expect(() => sampler.sample(Float32Array.of(1, 2, 3))).toThrow('token 3: expected an id below 3');
    for (const bias of [NaN, Infinity]) {
      expect(() => new Sampler({ logitBias: new Map([[0, bias]]) })).toThrow(UsageError);
    }
    for (const id of [-1, 0.5]) expect(() => new Sampler({ logitBias: new Map([[id, 1]]) })).toThrow(UsageError);
  });
});

describe('allowed tokens', () => {
  /** The mask of these ids over 70 tokens. */
  function maskOf(ids: number[]): Uint32Array {
    const mask = new Uint32Array(3);
    for (const id of ids) mask[id >> 5] |= 1 << (id & 31);
    return mask;
  }

  it('only they come out, at any temperature and on both sides of a word of the mask', () => {
    const logits = Float64Array.from({ length: 70 }, (_, id) => Math.sin(id));
    const ids = [0, 31, 32, 33, 63, 64, 69];
    expect(reachable(logits, { allowed: () => maskOf(ids), temperature: 5 })).toEqual(ids);
    const best = ids.reduce((a, b) => (logits[b] > logits[a] ? b : a));
    expect(new Sampler({ temperature: 0, allowed: () => maskOf(ids) }).sample(logits)).toBe(best);
    const full = new Uint32Array(3).fill(0xffff_ffff);
    expect(new Sampler({ temperature: 0, allowed: () => full }).sample(logits)).toBe(argmax(logits));
  });

  it('are asked for with the ids generated so far, once per token', () => {
    const asked: number[][] = [];
    const order = [5, 40, 69];
    const sampler = new Sampler({
      allowed(generated) {
        asked.push([...generated]);
        return generated.length < 3 ? maskOf([order[generated.length]]) : null;
      },
    });
    sampler.begin([1, 2]);
    const logits = new Float32Array(70);
    expect([0, 1, 2].map(() => sampler.sample(logits))).toEqual(order);
    sampler.sample(logits);
    expect(asked).toEqual([[], [5], [5, 40], [5, 40, 69]]);
  });

  it('may be found by sampling elsewhere', () => {
    const inner = new Sampler({ temperature: 0 });
    const outer = new Sampler({
      temperature: 0,
      allowed: () => maskOf([inner.sample(Float32Array.from({ length: 70 }, (_, id) => -id))]),
    });
    expect(outer.sample(Float32Array.from({ length: 70 }, (_, id) => id))).toBe(0);
  });

  it('that leave nothing, or are too few words, are an error', () => {
    const logits = new Float32Array(70);
    expect(() => new Sampler({ allowed: () => new Uint32Array(3) }).sample(logits)).toThrow('no token can be chosen');
    expect(() => new Sampler({ allowed: () => new Uint32Array(2) }).sample(logits)).toThrow('at least 3 words');
  });
});

/** Probability of each token by the definitions in sampler.ts, with full sorts and Math.exp. */
function definition(logits: readonly number[], prompt: number[], generated: number[], options: SamplerOptions) {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const { presencePenalty = 0, frequencyPenalty = 0, logitBias = new Map() } = options;
  const scores = logits.map((logit, id) => {
    let score = logit;
    if (prompt.includes(id) || generated.includes(id)) {
      score = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
    }
    const count = generated.filter((other) => other === id).length;
    if (count > 0) score -= presencePenalty;
    return (score - frequencyPenalty * count + (logitBias.get(id) ?? 0)) / temperature;
  });
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  let order = scores.map((_, id) => id).sort((a, b) => weights[b] - weights[a] || a - b);
  if (topK > 0) order = order.slice(0, topK);
  const sum = (ids: number[]) => ids.reduce((total, id) => total + weights[id], 0);
  const total = sum(order);
  order = order.filter((_, rank) => sum(order.slice(0, rank)) < topP * total);
  order = order.filter((id) => weights[id] >= minP);
  return weights.map((weight, id) => (order.includes(id) ? weight / sum(order) : 0));
}

describe('the whole chain against its definition', () => {
  const prng = new Prng(99);
  const logits = Array.from({ length: 14 }, () => 2 * prng.normal());
  const variants: Record<string, SamplerOptions> = {
    plain: {},
    hot: { temperature: 3 },
    'top-k': { topK: 5, temperature: 2 },
    'top-k beyond the first window': { topK: 13, temperature: 0.3 },
    'top-p': { topP: 0.8, temperature: 2 },
    'min-p': { minP: 0.1, temperature: 1.5 },
    'top-k, top-p and min-p': { topK: 9, topP: 0.9, minP: 0.05, temperature: 2.5 },
    'penalties and bias': {
      repetitionPenalty: 1.7,
      presencePenalty: 0.4,
      frequencyPenalty: 0.3,
      logitBias: new Map([
        [2, 1.5],
        [7, -Infinity],
      ]),
      temperature: 1.3,
    },
    everything: {
      repetitionPenalty: 1.2,
      presencePenalty: -0.5,
      frequencyPenalty: 0.2,
      logitBias: new Map([[1, 2]]),
      topK: 10,
      topP: 0.95,
      minP: 0.02,
      temperature: 2,
    },
  };
  for (const [name, options] of Object.entries(variants)) {
    it(name, () => {
      const [prompt, generated] = [
        [3, 4, 9],
        [0, 4, 4, 11],
      ];
      const expected = definition(logits, prompt, generated, options);
      const sampler = new Sampler({ ...options, seed: 17 });
      const draws = 2500;
      const counts = new Array<number>(logits.length).fill(0);
      for (let i = 0; i < draws; i++) {
        sampler.begin(prompt);
        for (const id of generated) {
          const forced = new Float64Array(logits.length).fill(-1e9);
          forced[id] = Infinity;
          sampler.sample(forced);
        }
        counts[sampler.sample(Float64Array.from(logits))]++;
      }
      let chiSquare = 0;
      for (const [id, p] of expected.entries()) {
        if (p === 0) expect(counts[id], `token ${id} cannot come out`).toBe(0);
        else chiSquare += (counts[id] - draws * p) ** 2 / (draws * p);
      }
      const freedom = expected.filter((p) => p > 0).length - 1;
      expect(freedom).toBeGreaterThan(0);
      // Mean `freedom`, variance twice that: five deviations, with the seed fixed.
      expect(chiSquare).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom) + 5);
    });
  }
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
    { presencePenalty: NaN },
    { frequencyPenalty: Infinity },
    { seed: 0.5 },
  ];
  for (const options of wrong) expect(() => new Sampler(options), JSON.stringify(options)).toThrow(UsageError);
});
