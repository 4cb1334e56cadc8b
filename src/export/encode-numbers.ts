/**
 * encodeNumbers: f32 numbers as the bytes of other types: F32, F16 and BF16 (rounded to nearest, ties to even) and Q8_0.
 *
 * Q8_0 stores blocks of 32: an f16 scale d = max |x| / 127 and 32 signed bytes, x / d (before d is rounded) to nearest, ties away from zero; all in
 * f32 arithmetic, so that the bytes are those of ggml. Source: ggml, ggml-quants.c, quantize_row_q8_0_ref.
 */

export const ENCODED_TYPES = ['f32', 'f16', 'bf16', 'q8_0'] as const;
export type EncodedType = (typeof ENCODED_TYPES)[number];

export interface Encoded {
  readonly bytes: Uint8Array;
  /** The first number that the type cannot hold: too large for f16, not finite for q8_0. null where all fit. */
  readonly unfit: number | null;
}

/** Numbers that share a scale. */
export const Q8_0_BLOCK = 32;
const Q8_0_BYTES = 34;

/** The bytes of `numbers`, little-endian; for q8_0 a multiple of 32 numbers. May be the memory of `numbers` itself. */
export function encodeNumbers(type: EncodedType, numbers: Float32Array): Encoded {
  if (type === 'f32') return { bytes: bytesOf(numbers), unfit: null };
  if (type === 'q8_0') return encodeQ8(numbers);
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const halves = new Uint16Array(numbers.length);
  if (type === 'bf16') {
    for (let i = 0; i < bits.length; i++) halves[i] = bf16Of(bits[i]);
    return { bytes: bytesOf(halves), unfit: null };
  }
  for (let i = 0; i < bits.length; i++) {
    halves[i] = f16Of(bits[i]);
    const overflows = (halves[i] & 0x7fff) === F16_INFINITY && (bits[i] & 0x7fff_ffff) !== F32_INFINITY;
    if (overflows) return { bytes: new Uint8Array(), unfit: i };
  }
  return { bytes: bytesOf(halves), unfit: null };
}

const F32_INFINITY = 0x7f80_0000;
const F16_INFINITY = 0x7c00;

/** Of the bits of an f32. A NaN whose set bits are all in the lower half would become an infinity. */
function bf16Of(x: number): number {
  if ((x & 0x7fff_ffff) > F32_INFINITY) return (x >>> 16) | 0x40;
  return (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
}

/** 65520, half a unit above the largest f16. */
const F16_OVERFLOW = 0x477f_f000;
/** 2^-14, the smallest f16 that is not subnormal. */
const F16_NORMAL = 0x3880_0000;
/** What the exponents of f32 and f16 are apart, in the bits of an f32. */
const EXPONENT_DIFFERENCE = (127 - 15) << 23;
const HALF = 0x3f00_0000;

const scratchBits = new Uint32Array(1);
const scratch = new Float32Array(scratchBits.buffer);

/** Of the bits of an f32. */
function f16Of(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fff_ffff;
  if (magnitude > F32_INFINITY) return sign | 0x7e00;
  if (magnitude >= F16_OVERFLOW) return sign | F16_INFINITY;
  if (magnitude >= F16_NORMAL) {
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - EXPONENT_DIFFERENCE) >>> 13);
  }
  // One half has its last bit at 2^-24, as subnormal f16 numbers have: the addition rounds.
  scratchBits[0] = magnitude;
  scratch[0] += 0.5;
  return sign | (scratchBits[0] - HALF);
}

function encodeQ8(numbers: Float32Array): Encoded {
  const blocks = numbers.length / Q8_0_BLOCK;
  const bytes = new Uint8Array(blocks * Q8_0_BYTES);
  const codes = new Int8Array(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const first = block * Q8_0_BLOCK;
    let largest = 0;
    for (let i = first; i < first + Q8_0_BLOCK; i++) {
      const size = Math.abs(numbers[i]);
      if (!(size < Infinity)) return { bytes, unfit: i };
      if (size > largest) largest = size;
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale > 0 ? Math.fround(1 / scale) : 0;
    const at = block * Q8_0_BYTES;
    scratch[0] = scale;
    const half = f16Of(scratchBits[0]);
    if (half === F16_INFINITY) return { bytes, unfit: first };
    bytes[at] = half & 255;
    bytes[at + 1] = half >>> 8;
    for (let i = 0; i < Q8_0_BLOCK; i++) {
      const quotient = Math.fround(numbers[first + i] * inverse);
      // Math.round takes ties up, which is away from zero for magnitudes.
      const code = Math.round(Math.abs(quotient));
      codes[at + 2 + i] = quotient < 0 ? -code : code;
    }
  }
  return { bytes, unfit: null };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
