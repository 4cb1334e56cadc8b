import { describe, expect, it } from 'vitest';
import { logprobsOf } from './logprobs.ts';

describe('logprobsOf', () => {
  it('is the log-softmax of the logits, best first', () => {
    const probabilities = [0.1, 0.4, 0.2, 0.3];
    const got = logprobsOf(
      Float64Array.from(probabilities, (p) => Math.log(p) + 100), // a shift changes nothing
      2,
      3,
    );
    expect(got.logprob).toBeCloseTo(Math.log(0.2), 12);
    expect(got.top.map(({ id }) => id)).toEqual([1, 3, 2]);
    got.top.forEach(({ id, logprob }) => {
      expect(logprob).toBeCloseTo(Math.log(probabilities[id]), 12);
    });
  });

  it('is exact over a whole vocabulary, where f32 sums are not', () => {
    const logits = Float32Array.from({ length: 20_000 }, (_, id) => 30 * Math.sin(id * id));
    const largest = Math.max(...logits);
    let sum = 0;
    for (const logit of logits) sum += Math.exp(logit - largest);
    const { logprob, top } = logprobsOf(logits, 1234, 20);
    expect(Math.abs(logprob - (logits[1234] - largest - Math.log(sum)))).toBeLessThan(1e-12);
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
    expect(top.map(({ id }) => id)).toEqual(order.slice(0, 20));
  });

  it('gives -Infinity to what is impossible and to nothing else', () => {
    const { logprob, top } = logprobsOf(Float32Array.of(-Infinity, 0, -1000), 0, 5);
    expect(logprob).toBe(-Infinity);
    expect(top).toEqual([
      { id: 1, logprob: 0 },
      { id: 2, logprob: -1000 },
      { id: 0, logprob: -Infinity },
    ]);
  });

  it('orders ties by the lower id, and lists none where none is asked for', () => {
    expect(logprobsOf(Float32Array.of(1, 2, 2, 2), 0, 2).top.map(({ id }) => id)).toEqual([1, 2]);
    expect(logprobsOf(Float32Array.of(1, 2), 0, 0).top).toEqual([]);
  });
});
