import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { SingleSequence } from './single-sequence.ts';
import type { BatchItem, TokenModel, TokenSequence } from './token-model.ts';

/** Logits that say how many tokens came before; refuses the id 99. */
class Counter implements TokenModel {
  readonly vocabSize = 1;
  readonly maxTokens = 50;
  readonly maxSequences = 1;
  readonly maxBatchTokens = 4;
  readonly runs: (readonly number[])[] = [];
  length = 0;

  createSequence(): TokenSequence {
    const model = this;
    return {
      get length() {
        return model.length;
      },
      truncate: (length) => {
        this.length = length;
      },
      release: () => {},
    };
  }

  run([{ ids, logits }]: readonly BatchItem[]): Float32Array[] {
    if (ids.includes(99) || ids.length === 0) throw new UsageError('counter', 'wrong ids');
    this.runs.push(ids);
    this.length += ids.length;
    return [logits === 'none' ? new Float32Array() : Float32Array.of(this.length)];
  }
}

describe('SingleSequence', () => {
  it('divides what is longer than a batch', () => {
    const model = new Counter();
    const sequence = new SingleSequence(model);
    expect([...sequence.prefill([1, 2, 3, 4, 5, 6, 7, 8])]).toEqual([8]);
    expect([...sequence.prefill([1, 2, 3, 4, 5])]).toEqual([13]);
    expect([...sequence.decode(6)]).toEqual([14]);
    expect(model.runs).toEqual([[1, 2, 3, 4], [5, 6, 7, 8], [1, 2, 3, 4], [5], [6]]);
    expect(sequence.position).toBe(14);
    sequence.reset();
    expect(sequence.position).toBe(0);
  });

  it('is as long as before where a later piece is refused', () => {
    const sequence = new SingleSequence(new Counter());
    sequence.prefill([1, 2]);
    expect(() => sequence.prefill([1, 2, 3, 4, 5, 99])).toThrow(UsageError);
    expect(sequence.position).toBe(2);
    expect(() => sequence.prefill([])).toThrow(UsageError);
  });
});
