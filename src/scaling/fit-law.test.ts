import { describe, expect, it } from 'vitest';
import { gridPoints, SIZES, TRUTH } from '../../test/support/law-points.ts';
import { UsageError } from '../util/errors.ts';
import { bootstrapLaw } from './bootstrap-law.ts';
import { crossValidate } from './cross-validate.ts';
import { fitLaw, startsNear } from './fit-law.ts';
import { type LawConstants, lawForm, lawLoss, PRINTED_CONSTANTS } from './law-form.ts';
import { optimalSparsity } from './optimal-sparsity.ts';

const exponential = lawForm('exponential');

function expectConstants(got: LawConstants, expected: LawConstants, relative: number): void {
  for (const [name, value] of Object.entries(expected)) {
    expect(Math.abs(got[name] / value - 1), `${name}: ${got[name]} for ${value}`).toBeLessThan(relative);
  }
}

describe('fitLaw', () => {
  it.each([
    ['of the tests', TRUTH],
    ['as printed', PRINTED_CONSTANTS],
    ['of a steep law', { E: 1, B: 0.5, C: 0.2, alpha: 0.9, beta: 0.6 }],
  ])('finds the constants of a law without noise: %s', (_, constants) => {
    const fit = fitLaw(exponential, gridPoints({ constants }));
    expectConstants(fit.constants, constants, 1e-4);
    expect(fit.rmsLogError).toBeLessThan(1e-9);
  });

  it('finds those of the joint law with tokens', () => {
    const constants = { ...TRUTH, F: 0.8, gamma: 0.4 };
    const points = gridPoints({ constants, tokens: [0.5, 1, 4] });
    expectConstants(fitLaw(lawForm('exponential', { tokens: true }), points).constants, constants, 1e-4);
  });

  it('finds the optimum of the truth under the noise of seeds, in the mean of 20 draws', () => {
    const optima = Array.from({ length: 20 }, (_, seed) => {
      const starts = [{ E: 2, B: 0.5, C: 0.5, alpha: 0.5, beta: 0.2 }];
      const { constants } = fitLaw(exponential, gridPoints({ noise: 0.003, seed }), { starts });
      return optimalSparsity(exponential, constants);
    });
    const mean = optima.reduce((sum, value) => sum + value, 0) / optima.length;
    expect(Math.abs(mean - optimalSparsity(exponential, TRUTH))).toBeLessThan(0.02);
  });

  it('is the same in any unit of N, but for B and C', () => {
    const points = gridPoints({ noise: 0.003 });
    const scaled = points.map((point) => ({ ...point, size: point.size * 1e6 }));
    const [small, large] = [points, scaled].map((runs) => fitLaw(exponential, runs).constants);
    for (const name of ['E', 'alpha', 'beta']) expect(large[name]).toBeCloseTo(small[name], 5);
    expect(large.C / small.C).toBeCloseTo(1e6 ** small.alpha, 2);
  });

  it('is moved little by one run that went wrong', () => {
    const points = gridPoints({ noise: 0.0005 });
    const spoiled = points.map((point, i) => (i === 17 ? { ...point, loss: point.loss * 1.3 } : point));
    const [clean, robust] = [points, spoiled].map((runs) => fitLaw(exponential, runs));
    expect(optimalSparsity(exponential, robust.constants)).toBeCloseTo(
      optimalSparsity(exponential, clean.constants),
      2,
    );
    expect(robust.residuals[17]).toBeCloseTo(-Math.log(1.3), 2);
  });

  // Under noise the steepest curve fits such runs best: without a limit beta goes to infinity and C to 0, and their product is no number.
  it.each(['exponential', 'power'] as const)(
    'stays finite where only the largest sparsity costs anything: %s',
    (name) => {
      const flat = { E: 4.2, B: 0.7, C: 1e-9, alpha: 0.1, beta: 0.1 };
      const points = gridPoints({ noise: 0.002, seed: 3, constants: flat }).map((point) =>
        point.sparsity === 0.8 ? { ...point, loss: 1.01 * point.loss } : point,
      );
      const form = lawForm(name);
      const { constants } = fitLaw(form, points);
      const errors = points.map((point) => Math.abs(Math.log(lawLoss(form, constants, point) / point.loss)));
      expect(Math.max(...errors)).toBeLessThan(0.02);
    },
  );

  it('refuses too few runs and runs that are too much alike', () => {
    const points = gridPoints();
    const refused = (runs: typeof points) => () => fitLaw(exponential, runs);
    expect(refused(points.slice(0, 4))).toThrow(
      new UsageError('law', 'exponential has 5 constants: expected at least 5 runs, got 4. Train more.'),
    );
    expect(refused(points.filter(({ size }) => size === 0.2))).toThrow(/several sizes: expected at least 2, got 1/);
    expect(refused(points.filter(({ sparsity }) => sparsity === 0))).toThrow(/several sparsities|at least 5/);
  });
});

describe('startsNear', () => {
  it('leads back from where the floor has vanished, which no gradient does', () => {
    const points = gridPoints();
    const gone = { ...TRUTH, E: 1e-13, C: 3, alpha: 0.1 };
    const from = (starts: LawConstants[]) => fitLaw(exponential, points, { starts });
    expect(from([gone]).constants.E).toBeLessThan(1e-3);
    const fit = { ...fitLaw(exponential, points), constants: gone };
    expectConstants(from(startsNear(fit)).constants, TRUTH, 1e-3);
  });
});

describe('bootstrapLaw', () => {
  const points = gridPoints({ noise: 0.003 });
  const fit = fitLaw(exponential, points);

  it('gives intervals around the fit that hold the truth, the same for the same seed', () => {
    const bootstrap = bootstrapLaw(fit, { draws: 40, seed: 5 });
    expect(bootstrapLaw(fit, { draws: 40, seed: 5 })).toEqual(bootstrap);
    for (const name of ['E', 'alpha', 'beta']) {
      const { low, high } = bootstrap.constants[name];
      expect(low).toBeLessThanOrEqual(Math.min(fit.constants[name], TRUTH[name]));
      expect(high).toBeGreaterThanOrEqual(Math.max(fit.constants[name], TRUTH[name]));
    }
    const { low, high } = bootstrap.optimum;
    expect(low).toBeLessThan(optimalSparsity(exponential, TRUTH));
    expect(high).toBeGreaterThan(optimalSparsity(exponential, TRUTH));
    expect(bootstrap.aboveZero).toBe(1);
  });

  it('is narrower with less noise', () => {
    const width = (noise: number) => {
      const { low, high } = bootstrapLaw(fitLaw(exponential, gridPoints({ noise })), { draws: 40 }).optimum;
      return high - low;
    };
    expect(width(0.0005)).toBeLessThan(0.5 * width(0.005));
  });
});

describe('crossValidate', () => {
  it('predicts unseen sizes with the law that made the runs, and not with another', () => {
    const points = gridPoints();
    expect(crossValidate(exponential, points)?.rmsLogError).toBeLessThan(1e-7);
    const linear = crossValidate(lawForm('linear'), points);
    expect(linear?.rmsLogError).toBeGreaterThan(0.01);
    expect(linear?.leftOut.map(({ size, runs }) => [size, runs])).toEqual([0.2, 0.45, 0.9, 1.9, 4].map((s) => [s, 7]));
  });

  it('is null where the runs without one of the sizes are too few or too much alike', () => {
    const most = gridPoints().filter(({ size, sparsity }) => size === SIZES[0] || (size <= SIZES[2] && sparsity === 0));
    const form = lawForm('exponential');
    expect(fitLaw(form, most).points).toHaveLength(9);
    expect(crossValidate(form, most)).toBeNull();
    const enough = gridPoints().filter(({ size, sparsity }) => size <= SIZES[2] || sparsity === 0);
    expect(crossValidate(form, enough)).not.toBeNull();
  });

  it('needs three sizes', () => {
    expect(
      crossValidate(
        exponential,
        gridPoints().filter(({ size }) => size < 0.9),
      ),
    ).toBeNull();
  });
});
