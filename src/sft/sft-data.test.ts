import { describe, expect, it } from 'vitest';
import { Examples } from './examples.ts';
import { packRows } from './pack-rows.ts';
import { SftData } from './sft-data.ts';

/** An example whose ids are first, first + 1, ...; those from `answer` on count. */
function example(first: number, length: number, answer: number) {
  const ids = Array.from({ length }, (_, i) => first + i);
  return { ids, isAnswer: ids.map((_, i) => i >= answer) };
}

const decode = (ids: readonly number[]) => 'é'.repeat(ids.length);

function examplesOf(seqLen: number, lengths: readonly number[]): Examples {
  const examples = new Examples(seqLen);
  lengths.forEach((length, i) => {
    expect(examples.add(example(100 * (i + 1), length, 2))).toBe('whole');
  });
  return examples;
}

describe('Examples', () => {
  it('cuts what is longer than a context, and drops what has no answer in it', () => {
    const examples = new Examples(4);
    expect(examples.add(example(10, 5, 3))).toBe('whole');
    expect(examples.add(example(20, 9, 3))).toBe('cut');
    expect(examples.add(example(30, 9, 5))).toBe('dropped');
    expect(examples.add({ ids: [1, 2], isAnswer: [true, false] })).toBe('dropped');
    expect([examples.count, examples.lengthOf(0), examples.answersOf(0), examples.answersOf(1)]).toEqual([2, 4, 2, 2]);
    const [ids, targets] = [new Int32Array(4), new Int32Array(4)];
    examples.write(1, 0, ids, targets);
    expect([...ids]).toEqual([20, 21, 22, 23]);
    expect([...targets]).toEqual([-1, -1, 23, 24]);
  });

  it('has a digest of ids, masks and borders', () => {
    const digest = (...list: ReturnType<typeof example>[]) => {
      const examples = new Examples(50);
      for (const one of list) examples.add(one);
      return examples.digest();
    };
    const digests = [
      digest(example(1, 4, 2), example(5, 4, 2)),
      digest(example(1, 4, 2), example(5, 4, 3)),
      digest(example(1, 4, 2), example(6, 4, 2)),
      digest(example(1, 5, 2), example(6, 3, 1)),
      digest(example(5, 4, 2), example(1, 4, 2)),
    ];
    expect(new Set(digests).size).toBe(5);
    expect(digest(example(1, 4, 2), example(5, 4, 2))).toBe(digests[0]);
  });

  it('grows without losing anything', () => {
    const examples = examplesOf(2000, [1500, 1900, 1800]);
    const [ids, targets] = [new Int32Array(2000), new Int32Array(2000)];
    examples.write(0, 0, ids, targets);
    expect(ids[1498]).toBe(1598);
    expect(targets[1498]).toBe(1599);
  });
});

describe('packRows', () => {
  const lengths = Array.from({ length: 500 }, (_, i) => 1 + ((i * 7919) % 100));

  it('gives every example one place, no row more than it has room for, and little room away', () => {
    const rows = packRows(lengths, 128, 3);
    expect(rows.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    const filled = rows.map((row) => row.reduce((sum, index) => sum + lengths[index], 0));
    expect(Math.max(...filled)).toBeLessThanOrEqual(128);
    const total = lengths.reduce((a, b) => a + b);
    expect(rows.length).toBeLessThan(1.1 * Math.ceil(total / 128));
  });

  it('is a function of its arguments', () => {
    expect(packRows(lengths, 128, 3)).toEqual(packRows(lengths, 128, 3));
    expect(packRows(lengths, 128, 4)).not.toEqual(packRows(lengths, 128, 3));
  });
});

describe('SftData', () => {
  const seqLen = 12;
  const lengths = [6, 5, 4, 13, 3, 3, 8, 7];
  const options = { seqLen, seed: 5, validationShare: 0.2, decode };
  const open = () => new SftData(examplesOf(seqLen, lengths), options);
  const batchOf = (data: SftData, step: number, batchSize: number) => {
    const [ids, targets, starts] = Array.from({ length: 3 }, () => new Int32Array(batchSize * seqLen).fill(99));
    data.batch(step, batchSize, seqLen, ids, targets, starts);
    return { ids: [...ids], targets: [...targets], starts: [...starts] };
  };

  it('writes whole conversations one after the other, each from its own start', () => {
    const data = open();
    const seen = new Map<number, number>();
    for (let row = 0; row < data.trainRows; row++) {
      const { ids, targets, starts } = batchOf(data, row, 1);
      for (let at = 0; at < seqLen; at++) {
        if (ids[at] === 0) {
          expect([targets[at], starts[at]]).toEqual([-1, at]);
          continue;
        }
        const number = Math.floor(ids[at] / 100) - 1;
        const place = ids[at] % 100;
        expect(starts[at]).toBe(at - place);
        // The answer begins with the third id.
        expect(targets[at]).toBe(place >= 1 ? ids[at] + 1 : -1);
        if (place === 0) seen.set(number, (seen.get(number) ?? 0) + 1);
        else expect(ids[at - 1]).toBe(ids[at] - 1);
        if (place === lengths[number] - 2) expect(ids[at + 1] ?? 0).not.toBe(ids[at] + 1);
      }
    }
    expect(seen.size).toBe(data.trainExamples);
    expect([...seen.values()].every((count) => count === 1)).toBe(true);
    expect(data.trainExamples + data.validationExamples).toBe(lengths.length);
  });

  it('is a pure function of the step, whatever the batch, and goes through all rows in each epoch', () => {
    const [data, again] = [open(), open()];
    const rows = data.trainRows;
    expect(rows).toBeGreaterThan(2);
    const single = Array.from({ length: 2 * rows }, (_, step) => batchOf(data, step, 1).ids);
    expect(batchOf(again, 1, 2).ids).toEqual([...single[2], ...single[3]]);
    const epoch = (number: number) => single.slice(number * rows, (number + 1) * rows).map(String);
    expect(epoch(0).sort()).toEqual(epoch(1).sort());
  });

  it('validates on what it does not train on, all of it or some', () => {
    const data = open();
    const batches = [...data.validationBatches(3, seqLen)];
    const counted = batches.flatMap(({ targets }) => [...targets].filter((target) => target !== -1));
    expect(counted.length).toBe(data.validationTokens);
    expect(data.validationBytes).toBe(2 * data.validationTokens);
    const trained = new Set(Array.from({ length: data.trainRows }, (_, step) => batchOf(data, step, 1).ids).flat());
    expect(counted.some((id) => trained.has(id - 1))).toBe(false);
    expect([...data.validationBatches(3, seqLen, 1)].length).toBe(1);
  });

  it('trains on the only example that there is', () => {
    const data = new SftData(examplesOf(seqLen, [6]), options);
    expect([data.trainExamples, data.validationExamples, data.validationTokens]).toEqual([1, 0, 0]);
    expect([...data.validationBatches(2, seqLen)]).toEqual([]);
  });
});
