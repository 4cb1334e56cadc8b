/**
 * BlockMoments: a moment of the optimiser in 8 bits an element, with a scale for each 256 of them.
 *
 * A code is a small float relative to the scale: a signed moment has a sign, 4 bits of exponent and 3 of mantissa, a moment that is never below 0
 * 5 and 3. So the largest element of a block is exact, the smallest that is told from 0 is 2^15 (2^31) times smaller, and neighbouring numbers are 6
 * to 12 % apart. Between two of them a number is rounded up or down by chance, in proportion to its distance: a moving average whose steps are smaller
 * than the codes would otherwise stand still. Below the first code there is no such proportion: what is smaller than nine tenths of it becomes 0 (second moments: the first code), so
 * elements whose first moment is some 30,000 times smaller than the largest of their block are without momentum. The chance is a hash of place and step, so that a resumed run rounds as the whole one.
 * Second moments never become 0 by rounding: the update divides by their root.
 * Idea of block-wise moments: Dettmers et al. (arXiv 2110.02861), whose codes are a table.
 */

import type { FloatTensor, Tensor } from './tensor.ts';

/** Elements that share a scale: one that stands out costs its neighbours their precision, and no others. */
export const MOMENT_BLOCK = 256;

export interface BlockMoments {
  /** As many as the parameter has elements. */
  readonly codes: Tensor<'u8'>;
  /** One for each MOMENT_BLOCK of them, the last perhaps of fewer: what a code of 1 stands for. */
  readonly scale: FloatTensor;
}

/** How the codes of a moment are read. */
export type MomentKind = 'signed' | 'positive';

/** Scales of a moment with so many elements. */
export function momentBlocks(elements: number): number {
  return Math.ceil(elements / MOMENT_BLOCK);
}

const MANTISSA_SHIFT = 20;
const RANDOM_BITS = 16;
/** The exponents in f32 with which codes begin, so that they end with that of 1. */
const FIRST_EXPONENT: Readonly<Record<MomentKind, number>> = { signed: 112, positive: 96 };
const LARGEST_CODE: Readonly<Record<MomentKind, number>> = { signed: 127, positive: 255 };
/** What the largest code of either kind stands for. */
const LARGEST = 1.875;
/** Blocks below it are 0: the reciprocal of their scale would overflow. */
const SMALLEST_BLOCK = 1e-36;

/** What a code stands for, in units of its scale. */
export function momentOf(code: number, kind: MomentKind): number {
  const magnitude = code & LARGEST_CODE[kind];
  if (magnitude === 0) return 0;
  const value = floatOf((magnitude << MANTISSA_SHIFT) + (FIRST_EXPONENT[kind] << 23));
  return magnitude === code ? value : -value;
}

/** The scale of a block whose largest magnitude is `largest`; 0 where all of it counts as 0. */
export function momentScale(largest: number): number {
  return largest < SMALLEST_BLOCK ? 0 : Math.fround(largest / LARGEST);
}

/** The code of `value` in units of its scale, at most LARGEST in size; `random` has 16 bits. */
export function momentCode(value: number, kind: MomentKind, random: number): number {
  const bits = bitsOf(Math.abs(value)) + (random << (MANTISSA_SHIFT - RANDOM_BITS));
  const code = (bits >>> MANTISSA_SHIFT) - (FIRST_EXPONENT[kind] << 3);
  if (kind === 'positive') return value === 0 ? 0 : Math.min(255, Math.max(1, code));
  const magnitude = Math.min(127, Math.max(0, code));
  return value < 0 && magnitude > 0 ? magnitude | 128 : magnitude;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

function floatOf(bits: number): number {
  scratchBits[0] = bits;
  return scratch[0];
}

function bitsOf(value: number): number {
  scratch[0] = value;
  return scratchBits[0];
}
