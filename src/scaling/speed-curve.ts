/**
 * SpeedCurve: how long a token takes at a size and a sparsity, between and beyond what was measured.
 *
 * Zeros do not save what they count: selecting costs, and what is not skipped stays. So a plan in seconds takes measured times. Between two
 * sparsities time is linear, between two sizes it is linear in the logarithms; beyond the measured sizes it grows as N does, from the nearest.
 */

import { UsageError } from '../util/errors.ts';

export interface SpeedPoint {
  /** Parameters of the blocks. */
  readonly size: number;
  readonly sparsity: number;
  readonly msPerToken: number;
}

interface SizeCurve {
  readonly size: number;
  /** By ascending sparsity. */
  readonly points: readonly SpeedPoint[];
}

export class SpeedCurve {
  readonly #curves: readonly SizeCurve[];

  /** Throws UsageError where no size was measured dense. */
  constructor(points: readonly SpeedPoint[]) {
    const sizes = [...new Set(points.map(({ size }) => size))].sort((a, b) => a - b);
    this.#curves = sizes
      .map((size) => ({
        size,
        points: points.filter((point) => point.size === size).sort((a, b) => a.sparsity - b.sparsity),
      }))
      .filter((curve) => curve.points[0].sparsity === 0);
    if (this.#curves.length > 0) return;
    throw new UsageError(
      'speed',
      'expected times of a dense model (sparsity 0), got none. Measure with --sparsity 0,0.4.',
    );
  }

  /** The largest sparsity that every size was measured at. */
  get largestSparsity(): number {
    return Math.min(...this.#curves.map(({ points }) => points[points.length - 1].sparsity));
  }

  get sizes(): number[] {
    return this.#curves.map(({ size }) => size);
  }

  msPerToken(size: number, sparsity: number): number {
    const above = this.#curves.findIndex((curve) => curve.size >= size);
    const [first, last] = [this.#curves[0], this.#curves[this.#curves.length - 1]];
    if (above <= 0) {
      const nearest = above < 0 ? last : first;
      return (timeAt(nearest, sparsity) * size) / nearest.size;
    }
    const [low, high] = [this.#curves[above - 1], this.#curves[above]];
    const share = Math.log(size / low.size) / Math.log(high.size / low.size);
    const [lowMs, highMs] = [timeAt(low, sparsity), timeAt(high, sparsity)];
    return lowMs * (highMs / lowMs) ** share;
  }
}

/** Beyond the last measured sparsity: as there. */
function timeAt({ points }: SizeCurve, sparsity: number): number {
  const above = points.findIndex((point) => point.sparsity >= sparsity);
  if (above < 0) return points[points.length - 1].msPerToken;
  if (above === 0) return points[0].msPerToken;
  const [low, high] = [points[above - 1], points[above]];
  const share = (sparsity - low.sparsity) / (high.sparsity - low.sparsity);
  return low.msPerToken + share * (high.msPerToken - low.msPerToken);
}
