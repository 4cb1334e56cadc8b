import { describe, expect, it } from 'vitest';
import { f16Bits } from '../tensor/f16.ts';
import { encodeNumbers } from './encode-numbers.ts';

const halves = (bytes: Uint8Array) => [...new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)];

/** Around every f16 and half way between two: where rounding decides. */
function f16Borders(): Float32Array {
  const all: number[] = [];
  for (let exponent = -26; exponent < 15; exponent++) {
    for (const fraction of [0, 1, 2, 511, 512, 1022, 1023]) {
      const step = 2 ** (Math.max(exponent, -14) - 10);
      const x = 2 ** exponent * (1 + fraction / 1024);
      for (const off of [0, step / 2, -step / 2, step / 2 + step / 4096, step / 2 - step / 4096])
        all.push(x + off, -x - off);
    }
  }
  return Float32Array.from([
    ...all,
    0,
    -0,
    65504,
    65519.99,
    -65504,
    2 ** -25,
    2 ** -24 * 1.5,
    Infinity,
    -Infinity,
    NaN,
  ]);
}

describe('encodeNumbers', () => {
  it('rounds to f16 as the definition does', () => {
    const numbers = f16Borders();
    const { bytes, unfit } = encodeNumbers('f16', numbers);
    expect(unfit).toBeNull();
    expect(halves(bytes)).toEqual([...numbers].map(f16Bits));
    expect(encodeNumbers('f16', Float32Array.of(1, 65519, -65520, 1e9)).unfit).toBe(2);
  });

  it('rounds to bf16, ties to even; NaN stays NaN', () => {
    const bits = Uint32Array.of(
      0x3f80_8000,
      0x3f81_8000,
      0x3f80_8001,
      0x3f80_7fff,
      0x7f80_0001,
      0xff80_0000,
      0x8000_0001,
    );
    const { bytes } = encodeNumbers('bf16', new Float32Array(bits.buffer));
    expect(halves(bytes)).toEqual([0x3f80, 0x3f82, 0x3f81, 0x3f80, 0x7fc0, 0xff80, 0x8000]);
  });

  it('gives f32 as it is', () => {
    const numbers = Float32Array.of(1.5, -2, NaN);
    expect(new Float32Array(encodeNumbers('f32', numbers).bytes.slice().buffer)).toEqual(numbers);
  });

  it('says which number q8_0 cannot hold', () => {
    const numbers = new Float32Array(64).fill(1);
    numbers[40] = NaN;
    expect(encodeNumbers('q8_0', numbers).unfit).toBe(40);
    numbers[40] = 1e7;
    expect(encodeNumbers('q8_0', numbers).unfit).toBe(32);
    numbers[40] = 127 * 65504;
    expect(encodeNumbers('q8_0', numbers).unfit).toBeNull();
  });
});
