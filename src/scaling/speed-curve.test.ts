import { describe, expect, it } from 'vitest';
import { SpeedCurve } from './speed-curve.ts';

const points = [
  { size: 100, sparsity: 0, msPerToken: 10 },
  { size: 100, sparsity: 0.5, msPerToken: 6 },
  { size: 400, sparsity: 0.5, msPerToken: 24 },
  { size: 400, sparsity: 0, msPerToken: 90 },
];

describe('SpeedCurve', () => {
  const curve = new SpeedCurve(points);

  it('gives what was measured, linear between sparsities', () => {
    expect(curve.msPerToken(100, 0)).toBe(10);
    expect(curve.msPerToken(400, 0.5)).toBe(24);
    expect(curve.msPerToken(100, 0.25)).toBe(8);
    expect(curve.msPerToken(100, 0.9)).toBe(6);
    expect(curve.largestSparsity).toBe(0.5);
  });

  it('is linear in the logarithms between sizes, and grows with N beyond them', () => {
    expect(curve.msPerToken(200, 0)).toBeCloseTo(Math.sqrt(10 * 90), 12);
    expect(curve.msPerToken(50, 0)).toBeCloseTo(5, 12);
    expect(curve.msPerToken(800, 0.5)).toBeCloseTo(48, 12);
  });

  it('needs a dense time', () => {
    expect(() => new SpeedCurve(points.slice(1, 3))).toThrow(/expected times of a dense model/);
  });
});
