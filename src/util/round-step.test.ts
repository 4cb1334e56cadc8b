import { describe, expect, it } from 'vitest';
import { roundStep } from './round-step.ts';

describe('roundStep', () => {
  it.each([
    [1, 5, 0.2],
    [10, 5, 2],
    [1.2, 5, 0.5],
    [0.3, 8, 0.05],
    [7e-6, 5, 2e-6],
    [9.9e8, 5, 2e8],
    [51, 5, 20],
  ])('divides %d into about %d parts by %d', (span, wanted, step) => {
    expect(roundStep(span, wanted)).toBeCloseTo(step, 12);
  });

  it('has no more parts than wanted, but for rounding, and no fewer than a good third', () => {
    for (let span = 1e-4; span < 1e4; span *= 1.07) {
      for (const wanted of [3, 5, 8]) {
        const parts = span / roundStep(span, wanted);
        expect(parts).toBeLessThanOrEqual(wanted * 1.001);
        expect(parts).toBeGreaterThan(wanted / 2.6);
      }
    }
  });
});
