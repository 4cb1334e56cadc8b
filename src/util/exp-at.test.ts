import { expect, it } from 'vitest';
import { expAt } from './exp-at.ts';

/** e^x of all of them. */
function exps(values: number[]): Float64Array {
  const results = Float64Array.from(values);
  expAt(
    results,
    Int32Array.from(values, (_, i) => i),
    values.length,
    0,
    1,
  );
  return results;
}

function worstError(values: number[]): number {
  const results = exps(values);
  return Math.max(...values.map((x, i) => Math.abs(results[i] / Math.exp(x) - 1)));
}

it('is e^x from -700 to 0', () => {
  const upTo = (limit: number) => Array.from({ length: 20_001 }, (_, i) => (limit * i) / 20_000);
  expect(worstError(upTo(-50))).toBeLessThan(1e-14);
  // x itself is rounded at 2^-53 of 700 / ln 2 * 256 parts: 8e-14 at the far end.
  expect(worstError(upTo(-699.9))).toBeLessThan(1e-13);
  expect([...exps([0, -0, -701, -1e300, -Infinity])]).toEqual([1, 1, 0, 0, 0]);
});

it('is right on both sides of every border of its table', () => {
  const borders = Array.from({ length: 512 }, (_, part) => (-part * Math.LN2) / 256);
  for (const near of [-1e-12, 0, 1e-12]) {
    expect(worstError(borders.map((border) => Math.min(0, border + near)))).toBeLessThan(1e-14);
  }
});

it('shifts, scales and sums, at the given indices alone', () => {
  const values = Float64Array.of(5, 1, 2, 3);
  const sum = expAt(values, Int32Array.of(3, 1, 0), 2, 3, 0.5);
  expect([...values]).toEqual([5, expect.closeTo(Math.exp(-1), 14), 2, 1]);
  expect(sum).toBeCloseTo(1 + Math.exp(-1), 14);
});
