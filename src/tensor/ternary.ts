/**
 * Ternary weights (BitNet b1.58): which of -1, 0 and 1 a latent weight is, and the one scale of its matrix.
 *
 * alpha = mean |w|, code = w / (alpha + 1e-5) rounded to nearest, ties to even, within -1 .. 1; the weight is code * alpha. A quotient
 * rounds to 0 up to one half, so a code is two comparisons with a threshold. Training (the kernel `ternarize`) takes both numbers from here, and adds |w| up in
 * the order of `sumOfMagnitudes`. Models that were trained so are brought to what was multiplied before they are packed (`ternarizeProjections`), which then finds their
 * codes and scale as they are; other weights are packed by the same formula (pack-matrix.ts).
 * Source: BitNet b1.58 (arXiv 2402.17764) eq. 1 - 3; with the scale: BitNet a4.8 (arXiv 2411.04965) eq. 2.
 */

import type { Columns } from './pack-matrix.ts';

export interface TernaryScale {
  /** Of the codes; an f32 number. */
  readonly alpha: number;
  /** |w| above it has the code of its sign, up to it 0; an f32 number. */
  readonly threshold: number;
}

/** BitNet's epsilon: it keeps the quotient finite for a matrix of zeros. */
export const ALPHA_EPSILON = 1e-5;

/** Of `count` weights whose magnitudes add up to `sum`. NaN where a weight is NaN; no code is then anything but 0. */
export function ternaryScale(sum: number, count: number): TernaryScale {
  const alpha = Math.fround(sum / count);
  return { alpha, threshold: roundDown((alpha + ALPHA_EPSILON) / 2) };
}

/** The largest f32 number that is not above x >= 0: no f32 number lies between the two, so that |w| exceeds both or none. */
function roundDown(x: number): number {
  const near = Math.fround(x);
  if (!(near > x)) return near;
  bits.setFloat32(0, near);
  bits.setUint32(0, bits.getUint32(0) - 1);
  return bits.getFloat32(0);
}

const bits = new DataView(new ArrayBuffer(4));

/** Sums side by side, which a processor adds at once; what is left behind the last eight goes to the first. */
const STREAMS = 8;

/** Sum of |x| of `count` numbers from `first` on, in f64, always in the same order: eight sums, then their halves onto each other. */
export function sumOfMagnitudes(x: ArrayLike<number>, first: number, count: number): number {
  const sums = new Float64Array(STREAMS);
  const whole = count - (count % STREAMS);
  for (let i = 0; i < whole; i++) sums[i % STREAMS] += Math.abs(x[first + i]);
  for (let i = whole; i < count; i++) sums[0] += Math.abs(x[first + i]);
  for (let width = STREAMS / 2; width >= 1; width /= 2) {
    for (let s = 0; s < width; s++) sums[s] += sums[s + width];
  }
  return sums[0];
}

/** Are the numbers of each projection 0 or plus or minus one number? */
export function isTernary(weights: ArrayLike<number>, cols: number, projections: readonly Columns[]): boolean {
  const rows = weights.length / cols;
  return projections.every(({ first, count }) => {
    let alpha = 0;
    for (let row = 0; row < rows; row++) {
      for (let i = row * cols + first; i < row * cols + first + count; i++) {
        const size = Math.abs(weights[i]);
        if (alpha === 0) alpha = size;
        if (size !== 0 && size !== alpha) return false;
      }
    }
    return true;
  });
}

/** Latent weights [rows, cols] become what is multiplied, in place: every projection, a range of columns, on its own. */
export function ternarizeProjections(weights: Float32Array, cols: number, projections: readonly Columns[]): void {
  const rows = weights.length / cols;
  for (const { first, count } of projections) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += sumOfMagnitudes(weights, row * cols + first, count);
    const { alpha, threshold } = ternaryScale(sum, rows * count);
    for (let row = 0; row < rows; row++) {
      for (let i = row * cols + first; i < row * cols + first + count; i++) {
        const w = weights[i];
        weights[i] = (Number(w > threshold) - Number(w < -threshold)) * alpha;
      }
    }
  }
}
