import { describe, expect, it } from 'vitest';
import { differenceOfFloats } from './compare.ts';

describe('differenceOfFloats', () => {
  const expected = Float32Array.of(1e37, -1e37, 2, 3);

  it('sees what is wrong in a row of small numbers beside one of large', () => {
    const got = Float32Array.of(1e37, -1e37, 2.5, 3);
    expect(differenceOfFloats(expected, got, 1)).toBeNull();
    expect(differenceOfFloats(expected, got, 1, 2)).toMatch(/^\[2\] is 2\.5, expected 2 \+- 3\.0e-5$/);
  });

  it('lets rounding pass, and holds its mean over the whole', () => {
    const n = 1000;
    const ones = new Float32Array(n).fill(1);
    expect(
      differenceOfFloats(
        ones,
        ones.map((x, i) => x + (i % 100 === 0 ? 5e-6 : 0)),
        1,
        10,
      ),
    ).toBeNull();
    expect(
      differenceOfFloats(
        ones,
        ones.map((x) => x + 5e-6),
        1,
        10,
      ),
    ).toMatch(/mean square error of 2\.\d+e-11/);
  });

  it('takes what is not finite as it is, and nothing else for it', () => {
    const special = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 1);
    expect(differenceOfFloats(special, special.slice(), 1)).toBeNull();
    expect(differenceOfFloats(special, Float32Array.of(0, Number.POSITIVE_INFINITY, 1), 1)).toBe(
      '[0] is 0, expected NaN',
    );
    expect(differenceOfFloats(special, Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NaN), 1)).toBe(
      '[2] is NaN, expected 1',
    );
  });
});
