import { describe, expect, it } from 'vitest';
import { type FinishReason, generateTokens, type TokenEngine } from './generate-tokens.ts';
import { Sampler } from './sampler.ts';

/** Predicts id + 1 after id, in a vocabulary of 100. */
class Counter implements TokenEngine {
  position = 0;
  passes = 0;
  readonly maxTokens: number;

  constructor(maxTokens = 50) {
    this.maxTokens = maxTokens;
  }

  prefill(ids: readonly number[]): Float32Array {
    this.position += ids.length;
    this.passes++;
    return Float32Array.from({ length: 100 }, (_, id) => (id === ids[ids.length - 1] + 1 ? 1 : 0));
  }

  decode(id: number): Float32Array {
    return this.prefill([id]);
  }
}

const greedy = () => new Sampler({ temperature: 0 });

async function collect(tokens: AsyncGenerator<number, FinishReason>): Promise<{ ids: number[]; reason: FinishReason }> {
  const ids: number[] = [];
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ids, reason: next.value };
    ids.push(next.value);
  }
}

describe('generateTokens', () => {
  it('ends at maxTokens without a forward pass more than needed', async () => {
    const engine = new Counter();
    const got = await collect(generateTokens(engine, [3, 4], { sampler: greedy(), maxTokens: 3 }));
    expect(got).toEqual({ ids: [5, 6, 7], reason: 'length' });
    expect(engine.passes).toBe(3);
  });

  it('ends before a stop token', async () => {
    const got = await collect(generateTokens(new Counter(), [0], { sampler: greedy(), stopIds: [4, 50] }));
    expect(got).toEqual({ ids: [1, 2, 3], reason: 'stop' });
  });

  it('fills the context and no more', async () => {
    const engine = new Counter(5);
    const got = await collect(generateTokens(engine, [0, 1], { sampler: greedy() }));
    expect(got).toEqual({ ids: [2, 3, 4, 5], reason: 'context' }); // the last needs no place: nothing follows it
    expect(engine.position).toBe(5);
  });

  it('ends when the signal is aborted, with what there is', async () => {
    const abort = new AbortController();
    const tokens = generateTokens(new Counter(), [0], { sampler: greedy(), signal: abort.signal });
    expect((await tokens.next()).value).toBe(1);
    abort.abort();
    expect(await tokens.next()).toEqual({ done: true, value: 'aborted' });
  });

  it('lets timers run while it generates', async () => {
    const engine = new Counter(100_000);
    const slow: TokenEngine = {
      maxTokens: 1000,
      position: 0,
      prefill: () => Float32Array.of(0, 1),
      decode: () => {
        const until = performance.now() + 2;
        while (performance.now() < until);
        return engine.decode(0);
      },
    };
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 30);
    const { ids, reason } = await collect(generateTokens(slow, [0], { sampler: greedy(), signal: abort.signal }));
    expect(reason).toBe('aborted');
    expect(ids.length).toBeLessThan(900);
  });

  it('yields nothing for maxTokens 0', async () => {
    const got = await collect(generateTokens(new Counter(), [0], { sampler: greedy(), maxTokens: 0 }));
    expect(got).toEqual({ ids: [], reason: 'length' });
  });
});
