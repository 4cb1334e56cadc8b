import { describe, expect, it } from 'vitest';
import { type MomentKind, momentBlocks, momentCode, momentOf, momentScale } from './block-moments.ts';
import { chanceOf } from './chance.ts';

const KINDS: readonly MomentKind[] = ['signed', 'positive'];
/** 1 + eighths, as the 3 bits of the mantissa have it. */
const EXAMPLES: readonly [MomentKind, code: number, value: number][] = [
  ['signed', 127, 1.875],
  ['signed', 255, -1.875],
  ['signed', 120, 1],
  ['signed', 1, 1.125 * 2 ** -15],
  ['positive', 255, 1.875],
  ['positive', 248, 1],
  ['positive', 240, 0.5],
  ['positive', 1, 1.125 * 2 ** -31],
];

describe('moments in 8 bits', () => {
  it.each(EXAMPLES)('%s code %i is %f, and back whatever the chance', (kind, code, value) => {
    expect(momentOf(code, kind)).toBe(value);
    for (const random of [0, 1, 32768, 65535]) expect(momentCode(value, kind, random)).toBe(code);
  });

  it('every code stands for another number, and 0 for 0', () => {
    for (const kind of KINDS) {
      const numbers = Array.from({ length: 256 }, (_, code) => momentOf(code, kind));
      expect(new Set(numbers).size).toBe(kind === 'signed' ? 255 : 256); // a code of -0 is never written
      expect(numbers[0]).toBe(0);
      expect(momentCode(0, kind, 65535)).toBe(0);
    }
  });

  it('is rounded to a neighbour, so that the mean over all chances is the number', () => {
    for (const kind of KINDS) {
      for (const value of [1.7, 0.3, 0.0123, ...(kind === 'signed' ? [-0.77] : [1e-7])]) {
        let sum = 0;
        const codes = new Set<number>();
        for (let random = 0; random < 65536; random += 16) {
          const code = momentCode(value, kind, random);
          codes.add(code);
          sum += momentOf(code, kind) / 4096;
        }
        expect(codes.size).toBe(2);
        expect(Math.abs(sum / value - 1)).toBeLessThan(1e-4);
      }
    }
  });

  it('a second moment that is not 0 does not become 0; a first one may', () => {
    expect(momentCode(1e-12, 'positive', 0)).toBe(1);
    expect(momentCode(1e-12, 'signed', 65535)).toBe(0);
    expect(momentCode(-1e-12, 'signed', 65535)).toBe(0);
  });

  it('has a scale that makes the largest exact, none where the block is as good as 0', () => {
    expect(momentScale(7.5)).toBe(4);
    expect([momentScale(0), momentScale(1e-38)]).toEqual([0, 0]);
    expect([1, 256, 257].map(momentBlocks)).toEqual([1, 1, 2]);
  });

  it('has chances without a pattern: both halves are spread evenly and do not go together', () => {
    const counts = { low: new Int32Array(4), high: new Int32Array(4), both: new Int32Array(16) };
    for (let element = 0; element < 16384; element++) {
      const chance = chanceOf(element, 7);
      const [low, high] = [(chance >>> 14) & 3, chance >>> 30];
      counts.low[low]++;
      counts.high[high]++;
      counts.both[4 * low + high]++;
    }
    // Five standard deviations of a fair draw.
    for (const count of [...counts.low, ...counts.high]) expect(Math.abs(count - 4096)).toBeLessThan(280);
    for (const count of counts.both) expect(Math.abs(count - 1024)).toBeLessThan(155);
    expect(chanceOf(5, 1)).not.toBe(chanceOf(5, 2));
  });
});
