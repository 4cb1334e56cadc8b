import { describe, expect, it } from 'vitest';
import { StatusLine } from '../cli/shared/status-line.ts';
import { QSparseError } from '../util/errors.ts';
import { median } from '../util/median.ts';
import { measureRounds, rowsOfEach, speedup, spread } from './rounds.ts';

const options = (repeat: number, signal = new AbortController().signal) => ({
  label: 'measuring',
  repeat,
  signal,
  progress: new StatusLine({ write: () => true }),
});

describe('measureRounds', () => {
  it('goes through all variants in every round and drops the first round', async () => {
    const calls: string[] = [];
    const measure = (variant: string) => calls.push(variant);
    expect(await measureRounds(['a', 'b'], measure, options(2))).toEqual([
      [3, 5],
      [4, 6],
    ]);
    expect(calls.join('')).toBe('ababab');
  });

  it('keeps whole rounds when it is stopped, and fails without one', async () => {
    const stopAfter = async (count: number) => {
      const abort = new AbortController();
      let calls = 0;
      const measure = () => {
        if (++calls === count) abort.abort();
        return calls;
      };
      return await measureRounds(['a', 'b'], measure, options(9, abort.signal));
    };
    expect(await stopAfter(5)).toEqual([[3], [4]]);
    await expect(stopAfter(3)).rejects.toThrow(QSparseError);
  });
});

describe('rowsOfEach', () => {
  it('keeps what is complete when it is stopped, and fails where that is nothing or nobody stopped it', async () => {
    const stoppedAt = async (last: string) => {
      const abort = new AbortController();
      const measure = async (item: string) => {
        if (item !== last) return [item];
        abort.abort();
        throw new QSparseError('bench', 'stopped before the first round was complete.');
      };
      return await rowsOfEach(['f32', 'bf16', 'int8'], abort.signal, measure);
    };
    expect(await stoppedAt('bf16')).toEqual(['f32']);
    await expect(stoppedAt('f32')).rejects.toThrow(QSparseError);
    const broken = rowsOfEach(['a'], new AbortController().signal, async () => {
      throw new QSparseError('bench', 'broken');
    });
    await expect(broken).rejects.toThrow('broken');
  });
});

it('median, spread and speed-up', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(spread([2, 3, 4])).toBeCloseTo(2 / 3);
  // A machine that slows down to half in the second and third round: the ratio stays.
  expect(speedup([10, 20, 20], [5, 10, 10])).toBe(2);
});
