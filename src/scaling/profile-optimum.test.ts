import { describe, expect, it } from 'vitest';
import { gridPoints, TRUTH } from '../../test/support/law-points.ts';
import { analyseLaw } from './analyse-law.ts';
import { fitLaw } from './fit-law.ts';
import { chiSquaredLimit, LawDeviance, normalShare } from './law-deviance.ts';
import { type LawConstants, lawForm, PRINTED_CONSTANTS } from './law-form.ts';
import { optimalSparsity } from './optimal-sparsity.ts';
import { profileOptimum } from './profile-optimum.ts';

const form = lawForm('exponential');

describe('profileOptimum', () => {
  it('holds the truth and the optimum of the fit, and rises on both sides of it', () => {
    const fit = fitLaw(form, gridPoints({ noise: 0.003 }));
    const { low, high, curve } = profileOptimum(fit);
    for (const inside of [optimalSparsity(form, TRUTH), optimalSparsity(form, fit.constants)]) {
      expect(low).toBeLessThan(inside);
      expect(high).toBeGreaterThan(inside);
    }
    const lowest = curve.reduce((best, place) => (place.deviance < best.deviance ? place : best));
    // Places of the curve are 0.025 apart.
    expect(Math.abs(lowest.sparsity - optimalSparsity(form, fit.constants))).toBeLessThan(0.0126);
    const ends = curve.filter(({ sparsity }) => sparsity < low! || sparsity > high!);
    for (const { deviance } of ends) expect(deviance).toBeGreaterThan(3.84 - 1e-6);
  });

  it('ends below 0 where zeros do not pay, and is wider where the runs say less', () => {
    const useless = { E: 2.4, B: 0.3, C: 1.1, alpha: 0.1, beta: 0.25 };
    const { low } = profileOptimum(fitLaw(form, gridPoints({ noise: 0.001, constants: useless })));
    expect(low === null || low < 0).toBe(true);
    const width = (noise: number) => {
      const { low: from, high: to } = profileOptimum(fitLaw(form, gridPoints({ noise })));
      return to! - from!;
    };
    expect(width(0.008)).toBeGreaterThan(2 * width(0.001));
  });
});

describe('LawDeviance', () => {
  it('is the sum of squares over the variance where delta is large', () => {
    const fit = fitLaw(form, gridPoints({ noise: 0.01 }), { delta: 1 });
    const squares = fit.residuals.reduce((sum, r) => sum + r * r, 0);
    // Huber losses are half of the squares; 35 runs, 5 constants.
    const rise = 0.5 * squares;
    expect(new LawDeviance(fit, 1).of(fit.objective + rise)).toBeCloseTo((2 * rise) / (squares / 30), 6);
  });

  it('counts 0.64 of an evidence that is all signs, the efficiency of the median', () => {
    const fit = fitLaw(form, gridPoints({ noise: 0.01 }), { delta: 1e-6 });
    const variance = fit.residuals.reduce((sum, r) => sum + r * r, 0) / 30;
    // Of absolute values: 2 * rise / delta * density at 0 of the normal, twice.
    const expected = (2 * 1e-6 * 0.7978846) / (1e-12 * Math.sqrt(variance));
    expect(new LawDeviance(fit, 1e-6).of(fit.objective + 1) / expected).toBeCloseTo(1, 3);
  });

  it('knows the normal distribution', () => {
    expect(normalShare(1)).toBeCloseTo(0.682689, 6);
    expect(chiSquaredLimit(0.95)).toBeCloseTo(3.841459, 4);
  });
});

describe('analyseLaw', () => {
  const points = [...gridPoints({ noise: 0.002 }), ...gridPoints({ noise: 0.002, seed: 9 }).slice(0, 10)];
  const analysis = analyseLaw(points, { draws: 20 });

  it('measures the noise of repeated runs', () => {
    expect(analysis.noise).toMatchObject({ points: 10, runs: 20 });
    expect(analysis.noise!.logDeviation).toBeGreaterThan(0.001);
    expect(analysis.noise!.logDeviation).toBeLessThan(0.004);
  });

  it('knows repeated runs by the share that was asked for, where the measured one differs', () => {
    const measured = points.map((point, i) => ({
      ...point,
      sparsity: point.sparsity + i * 1e-5,
      asked: point.sparsity,
    }));
    expect(analyseLaw(measured, { draws: 2 }).noise).toMatchObject({ points: 10, runs: 20 });
  });

  it('is the same in any unit of N, the drift of alpha too', () => {
    const points = gridPoints({ noise: 0.003 });
    const [small, large] = [1, 1000].map((unit) =>
      analyseLaw(
        points.map((point) => ({ ...point, size: unit * point.size })),
        { draws: 20 },
      ),
    );
    expect(large.drift.value).toBeCloseTo(small.drift.value, 4);
    expect(large.drift.interval.low).toBeCloseTo(small.drift.interval.low, 3);
    expect(large.optimum.sparsity).toBeCloseTo(small.optimum.sparsity, 4);
  });

  it('finds the form of the truth to predict best of those that differ, and no drift of alpha', () => {
    const errorOf = (name: string) => analysis.forms.find(({ form }) => form === name)!.crossValidation!.rmsLogError;
    expect(errorOf('exponential')).toBeLessThan(errorOf('linear'));
    const { low, high } = analysis.drift.interval;
    expect(low).toBeLessThan(0.02);
    expect(high).toBeGreaterThan(-0.02);
  });

  it('says whether the runs need a B', () => {
    const identified = (constants: LawConstants, noise: number) =>
      analyseLaw(gridPoints({ noise, constants, seed: 2 }), { draws: 2 }).b.identified;
    expect(identified({ E: 2, B: 0.9, C: 0.4, alpha: 0.35, beta: 0.3 }, 0.0002)).toBe(true);
    expect(identified(PRINTED_CONSTANTS, 0.003)).toBe(false);
  });
});
