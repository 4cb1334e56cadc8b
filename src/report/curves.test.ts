import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenSample, mean, rounded, smooth, thin, usual } from './curves.ts';

describe('smooth', () => {
  it('leaves a constant alone and begins at the first value', () => {
    expect(smooth(Array(100).fill(2.5)).every((value) => Math.abs(value - 2.5) < 1e-12)).toBe(true);
    expect(smooth([7, 1, 1, 1])[0]).toBe(7);
  });

  it('takes most of the noise away and follows the level', () => {
    const noisy = Array.from({ length: 2000 }, (_, i) => 3 + (i % 2 === 0 ? 1 : -1));
    for (const value of smooth(noisy).slice(200)) expect(Math.abs(value - 3)).toBeLessThan(0.1);
  });

  it('steps over values that are no numbers', () => {
    const smoothed = smooth([1, Number.NaN, null as unknown as number, 1]);
    expect(smoothed.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([1, Number.NaN, Number.NaN, 1]);
  });
});

describe('thin', () => {
  const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 400 });

  it('keeps at most so many points, ascending, with both ends and both extremes', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 6, max: 100 }), (curve, maxPoints) => {
        const kept = thin(curve, maxPoints);
        expect(kept.length).toBeLessThanOrEqual(Math.max(maxPoints, 2));
        expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
        expect(kept[0]).toBe(0);
        expect(kept.at(-1)).toBe(curve.length - 1);
        const keptValues = kept.map((i) => curve[i]);
        expect(Math.max(...keptValues)).toBe(Math.max(...curve));
        expect(Math.min(...keptValues)).toBe(Math.min(...curve));
      }),
    );
  });

  it('keeps a single spike of a long run', () => {
    const curve = Array.from({ length: 100_000 }, (_, i) => (i === 54_321 ? 9 : 2));
    expect(thin(curve)).toContain(54_321);
  });
});

describe('small statistics', () => {
  it('ignore what is no number', () => {
    expect(mean([1, Number.NaN, 3])).toBe(2);
    expect(mean([])).toBeNaN();
    expect(usual([5, 1, Number.NaN, 100])).toBe(5);
    expect(usual([1, 2, 3, 100])).toBe(2.5);
    expect(rounded([1.234567, Number.NaN, Infinity])).toEqual([1.2346, null, null]);
  });

  it('evenSample keeps both ends', () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const some = evenSample(items, 7);
    expect(some).toHaveLength(7);
    expect([some[0], some.at(-1)]).toEqual([0, 999]);
    expect(evenSample([1, 2], 7)).toEqual([1, 2]);
  });
});
