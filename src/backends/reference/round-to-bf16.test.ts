import { describe, expect, it } from 'vitest';
import { roundToBf16 } from './round-to-bf16.ts';

/** The upper half of the bits of an f32, after rounding in whole numbers: another way than the one under test. */
function byBits(x: number): number {
  const f = new Float32Array([x]);
  const u = new Uint32Array(f.buffer);
  if (!Number.isNaN(f[0])) u[0] = (u[0] + 0x7fff + ((u[0] >>> 16) & 1)) & 0xffff0000;
  return f[0];
}

const MAX_BF16 = (2 - 2 ** -7) * 2 ** 127;
const SMALLEST = 2 ** -133;

describe('roundToBf16', () => {
  it.each([
    [1, 1],
    [1 + 2 ** -7, 1 + 2 ** -7],
    // Ties: to the neighbour whose last bit is 0.
    [1 + 2 ** -8, 1],
    [1 + 3 * 2 ** -8, 1 + 2 ** -6],
    [-(1 + 2 ** -8), -1],
    [255.5, 256],
    [2 - 2 ** -8, 2],
    // Beside a tie, by the last bit of an f32 and of an f64.
    [1 + 2 ** -8 + 2 ** -23, 1 + 2 ** -7],
    [1 + 3 * 2 ** -8 - 2 ** -23, 1 + 2 ** -7],
    [1 + 2 ** -8 + 2 ** -52, 1 + 2 ** -7],
    [Math.PI, 3.140625],
  ])('%d becomes %d', (x, rounded) => {
    expect(roundToBf16(x)).toBe(rounded);
  });

  it('keeps subnormals down to 2^-133, and rounds below to even', () => {
    expect(roundToBf16(SMALLEST)).toBe(SMALLEST);
    expect(roundToBf16(5.4 * SMALLEST)).toBe(5 * SMALLEST);
    expect(roundToBf16(1.5 * SMALLEST)).toBe(2 * SMALLEST);
    expect(roundToBf16(2 ** -126 - 2 ** -135)).toBe(2 ** -126);
    expect(roundToBf16(0.5 * SMALLEST)).toBe(0);
    expect(roundToBf16(-0.5 * SMALLEST)).toBe(-0);
    expect(roundToBf16(2 ** -1074)).toBe(0);
  });

  it('keeps zeros, infinities and NaN, and makes infinite what lies nearer to 2^128 than to the largest', () => {
    for (const x of [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
      expect(roundToBf16(x)).toBe(x);
    }
    expect(roundToBf16(MAX_BF16)).toBe(MAX_BF16);
    expect(roundToBf16(MAX_BF16 + 2 ** 118)).toBe(MAX_BF16);
    expect(roundToBf16(MAX_BF16 + 2 ** 119)).toBe(Number.POSITIVE_INFINITY);
    expect(roundToBf16(-3.4028234663852886e38)).toBe(Number.NEGATIVE_INFINITY);
    expect(roundToBf16(-1e300)).toBe(Number.NEGATIVE_INFINITY);
  });

  it('is the rounding of the bits for f32 of all exponents', () => {
    const bits = Uint32Array.from({ length: 100_000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 0);
    // Every second one near a tie.
    const floats = new Float32Array(
      bits.map((u, i) => (i % 2 === 0 ? u : (u & 0xffff0000) | (0x7fff + (u % 3)))).buffer,
    );
    expect(floats.findIndex((x) => !Object.is(roundToBf16(x), byBits(x)))).toBe(-1);
  });
});
