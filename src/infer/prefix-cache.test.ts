import { describe, expect, it } from 'vitest';
import { FakeTokenModel } from '../../test/support/fake-token-model.ts';
import { PrefixCache } from './prefix-cache.ts';
import type { SequenceOptions } from './token-model.ts';

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

/** A cache, and a way to put a sequence of these ids into it. */
function setUp() {
  const model = new FakeTokenModel({ vocabSize: 1000, maxTokens: 100, maxBatchTokens: 100, maxSequences: 10 });
  const cache = new PrefixCache();
  const keep = (ids: number[], promptTokens = ids.length, options: SequenceOptions = {}) => {
    const sequence = model.createSequence(options);
    model.run([{ sequence, ids, logits: 'none' }]);
    cache.keep(sequence, ids, promptTokens, options);
    return sequence;
  };
  return { model, cache, keep };
}

describe('PrefixCache', () => {
  it('takes the longest common beginning and truncates to it', () => {
    const { cache, keep } = setUp();
    keep([1, 2, 3]);
    const longer = keep([1, 2, 3, 4, 5]);
    const taken = cache.take([1, 2, 3, 4, 6, 7], {}, false);
    expect(taken).toBe(longer);
    expect(taken?.length).toBe(4);
    expect(cache.size).toBe(1);
  });

  it('leaves a token to run, whose logits are wanted', () => {
    const { cache, keep } = setUp();
    keep([1, 2, 3]);
    expect(cache.take([1, 2, 3], {}, false)?.length).toBe(2);
    keep([1]);
    expect(cache.take([1], {}, true)).toBeNull();
  });

  it('gives nothing of another sparsity, and knows equal ones whatever the order of their keys', () => {
    const { cache, keep } = setUp();
    keep([1, 2, 3], 3, { sparsity: { qkv: 0.5, down: [0, 0.5] } });
    for (const sparsity of [undefined, 0.5, { qkv: 0.5 }, { qkv: 0.5, down: [0.5, 0] }]) {
      expect(cache.take([1, 2, 3, 4], sparsity === undefined ? {} : { sparsity }, true)).toBeNull();
    }
    expect(cache.take([1, 2, 3, 4], { sparsity: { down: [0, 0.5], qkv: 0.5 } }, false)?.length).toBe(3);
  });

  it('does not give a long conversation for a short common beginning while there is room', () => {
    const { cache, keep } = setUp();
    const conversation = keep(upTo(50));
    const other = [...upTo(10), ...upTo(20, 500)];
    expect(cache.take(other, {}, false)).toBeNull();
    expect(cache.take(other, {}, true)).toBe(conversation); // its place would go anyway
    keep(upTo(50));
    expect(cache.take([...upTo(25), 500], {}, false)?.length).toBe(25); // as much saved as forgotten
  });

  it('gives the least recently used one for a place, not that of a conversation which has just ended', () => {
    const { cache, keep } = setUp();
    const [old, recent] = [keep([0, ...upTo(40, 100)]), keep([0, ...upTo(40, 200)])];
    expect(cache.take([0, ...upTo(40, 300)], {}, true)).toBe(old);
    expect(cache.take([0, ...upTo(41, 200)], {}, true)).toBe(recent);
    // The oldest is of another sparsity: it makes room, and nothing is taken.
    keep([0, 1], 2, { sparsity: 0.5 });
    keep([0, ...upTo(40, 400)]);
    expect(cache.take([0, ...upTo(40, 300)], {}, true)).toBeNull();
    expect(cache.size).toBe(2);
  });

  it('gives what was generated behind a prompt for the same prompt again', () => {
    const { cache, keep } = setUp();
    keep(upTo(60), 10);
    expect(cache.take(upTo(10), {}, false)?.length).toBe(9);
  });

  it('evicts the least recently used, and takes the most recent of equals', () => {
    const { model, cache, keep } = setUp();
    const [first, second, third] = [keep([1, 2]), keep([1, 2]), keep([3, 4])];
    expect(cache.take([1, 2, 5], {}, false)).toBe(second);
    cache.evict();
    expect([...model.live]).toEqual([second, third]);
    expect(model.live.has(first as never)).toBe(false);
    cache.clear();
    expect([...model.live]).toEqual([second]);
    cache.evict(); // nothing is kept
  });

  it('releases a sequence that cannot go back so far', () => {
    const { model, cache, keep } = setUp();
    keep([1, 2, 3, 4]);
    model.oldestTruncation = 3;
    expect(cache.take([1, 2, 5], {}, false)).toBeNull();
    expect(cache.size).toBe(0);
    expect(model.live.size).toBe(0);
  });
});
