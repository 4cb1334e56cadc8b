/**
 * f16 (IEEE 754 binary16) as its 16 bits, for oracles and tests, one number at a time. Kernels convert whole vectors (kernels/narrow.h).
 *
 * 10 bits of fraction, exponents -14 .. 15, subnormal numbers down to 2^-24; the largest is 65504.
 */

const LARGEST_EXPONENT = 15;
const SMALLEST_EXPONENT = -14;
const INFINITY_BITS = 0x7c00;
const NAN_BITS = 0x7e00;

/** The nearest f16, ties to even; 65520 and more become infinite, NaN stays NaN. */
export function f16Bits(x: number): number {
  if (Number.isNaN(x)) return NAN_BITS;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (magnitude === Infinity) return sign | INFINITY_BITS;
  const exponent = Math.min(LARGEST_EXPONENT, Math.max(SMALLEST_EXPONENT, exponentOf(magnitude)));
  // In units of the last place: 1024 .. 2047, less for a subnormal; 2048 carries into the exponent.
  const units = roundHalfToEven(magnitude / 2 ** (exponent - 10));
  return sign | Math.min(INFINITY_BITS, (exponent - SMALLEST_EXPONENT) * 1024 + units);
}

export function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Of a finite number above 0: floor(log2 x); the logarithm itself may round up to the next whole number. */
function exponentOf(x: number): number {
  if (x === 0) return SMALLEST_EXPONENT;
  const guess = Math.floor(Math.log2(x));
  return 2 ** guess > x ? guess - 1 : guess;
}

function roundHalfToEven(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
}
