import { describe, expect, it } from 'vitest';
import { f16Bits, f16Value } from './f16.ts';

describe('f16', () => {
  it('has the bits of IEEE 754', () => {
    const known: [number, number][] = [
      [0, 0x0000],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [1 / 3, 0x3555], // 0.333251953125
      [65504, 0x7bff],
      [2 ** -14, 0x0400],
      [2 ** -24, 0x0001],
      [Infinity, 0x7c00],
      [-Infinity, 0xfc00],
    ];
    for (const [value, bits] of known) expect(f16Bits(value), `${value}`).toBe(bits);
    expect(f16Value(0x3555)).toBe(0.333251953125);
    expect(f16Value(f16Bits(Number.NaN))).toBeNaN();
  });

  it('gives every number back', () => {
    for (let bits = 0; bits < 2 ** 16; bits++) {
      const value = f16Value(bits);
      if (!Number.isNaN(value)) expect(f16Bits(value)).toBe(bits);
    }
  });

  it('rounds to the nearest, ties to even', () => {
    const step = 2 ** -10;
    expect(f16Value(f16Bits(1 + step / 2))).toBe(1);
    expect(f16Value(f16Bits(1 + 1.5 * step))).toBe(1 + 2 * step);
    expect(f16Value(f16Bits(1 + 0.51 * step))).toBe(1 + step);
    expect(f16Value(f16Bits(2 - step / 4))).toBe(2);
    expect(f16Value(f16Bits(2 ** -25))).toBe(0);
    expect(f16Value(f16Bits(1.01 * 2 ** -25))).toBe(2 ** -24);
    expect(f16Value(f16Bits(65519))).toBe(65504);
    expect(f16Value(f16Bits(65520))).toBe(Infinity);
  });
});
