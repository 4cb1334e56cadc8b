import { describe, expect, it } from 'vitest';
import { ReplayedData } from './replayed-data.ts';
import type { TrainingData } from './trainer.ts';

/** Sequence number n holds `sign` * (n + 1), its targets 1000 more. */
function numbered(sign: 1 | -1): TrainingData {
  return {
    batch(index, batchSize, seqLen, ids, targets) {
      for (let i = 0; i < batchSize * seqLen; i++) {
        ids[i] = sign * (index * batchSize + Math.floor(i / seqLen) + 1);
        targets[i] = ids[i] + 1000;
      }
    },
    *validationBatches() {
      yield { ids: Int32Array.of(sign), targets: Int32Array.of(sign) };
    },
    validationTokens: sign === 1 ? 30 : 40,
    validationBytes: sign === 1 ? 300 : 400,
  };
}

const data = (share: number) => new ReplayedData(numbered(1), numbered(-1), share);

/** The first id of each of `count` sequences, in batches of `batchSize`. */
function sequences(share: number, count: number, batchSize: number): number[] {
  const [ids, targets] = [new Int32Array(batchSize * 2), new Int32Array(batchSize * 2)];
  return Array.from({ length: count / batchSize }, (_, index) => {
    data(share).batch(index, batchSize, 2, ids, targets);
    expect([...targets]).toEqual([...ids].map((id) => id + 1000));
    return Array.from({ length: batchSize }, (_, row) => ids[2 * row]);
  }).flat();
}

describe('ReplayedData', () => {
  it('takes the share from the other data, each of both in its own order', () => {
    expect(sequences(0.25, 8, 4)).toEqual([1, 2, 3, -1, 4, 5, 6, -2]);
    expect(sequences(0.5, 6, 2)).toEqual([1, -1, 2, -2, 3, -3]);
  });

  it('does not depend on the size of the batches, and leaves nothing out', () => {
    const all = sequences(0.3, 120, 1);
    for (const batchSize of [3, 8]) expect(sequences(0.3, 120, batchSize)).toEqual(all);
    const [own, replayed] = [all.filter((id) => id > 0), all.filter((id) => id < 0)];
    expect(own).toEqual(own.map((_, i) => i + 1));
    expect(replayed).toEqual(replayed.map((_, i) => -(i + 1)));
    expect(replayed).toHaveLength(36);
  });

  it('validates on the data alone', () => {
    expect([...data(0.5).validationBatches(1, 1)]).toHaveLength(1);
    expect(data(0.5)).toMatchObject({ validationTokens: 30, validationBytes: 300 });
  });
});
