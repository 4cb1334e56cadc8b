/**
 * Rounding to bf16: 8 significant bits and the exponents of f32, to nearest, ties to even.
 *
 * Bits of the value far above its last kept one, added and taken away again, leave the rounding to the addition of two f64:
 * the sum of x and 1.5 * 2^52 units is a whole number of units. Source of the format: the upper half of an IEEE f32.
 */

import type { MatmulOptions } from '../../backend.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';

/** Exponents of the smallest normal bf16 and of the first power of two above all of them. */
const LOWEST_EXPONENT = -126;
const OVERFLOW = 2 ** 128;

const value = new Float64Array(1);
const halves = new Uint32Array(value.buffer);
/** Of the half with sign and exponent: JavaScript has the byte order of the processor. */
const UPPER = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/** The bf16 nearest to x, an f64 (hence an f32 too, without rounding twice). Above all bf16 infinity; NaN is NaN, -0 is -0. */
export function roundToBf16(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  if (Math.abs(x) >= OVERFLOW) return Math.sign(x) * Number.POSITIVE_INFINITY;
  value[0] = x;
  const exponent = ((halves[UPPER] >>> 20) & 0x7ff) - 1023;
  const unit = 2 ** (Math.max(exponent, LOWEST_EXPONENT) - 7);
  const far = 1.5 * 2 ** 52 * unit;
  const rounded = x + far - far;
  if (Math.abs(rounded) >= OVERFLOW) return Math.sign(x) * Number.POSITIVE_INFINITY;
  return rounded === 0 ? 0 * x : rounded;
}

/** A product's operand in the precision of the call: x itself, or a rounded copy. */
export function inPrecision(x: FloatTensor, options: MatmulOptions): FloatTensor {
  if (options.precision !== 'bf16') return x;
  return { ...x, data: x.data.map(roundToBf16) } as FloatTensor;
}
