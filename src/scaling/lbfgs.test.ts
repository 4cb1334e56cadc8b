import { describe, expect, it } from 'vitest';
import { lbfgs } from './lbfgs.ts';

describe('lbfgs', () => {
  it('finds the minimum of Rosenbrock in 6 variables from the classical start', () => {
    const rosenbrock = (x: Float64Array, gradient: Float64Array) => {
      gradient.fill(0);
      let sum = 0;
      for (let i = 0; i + 1 < x.length; i++) {
        const [a, b] = [x[i + 1] - x[i] ** 2, 1 - x[i]];
        sum += 100 * a * a + b * b;
        gradient[i] += -400 * x[i] * a - 2 * b;
        gradient[i + 1] += 200 * a;
      }
      return sum;
    };
    const { x, iterations } = lbfgs(rosenbrock, [-1.2, 1, -1.2, 1, -1.2, 1]);
    for (const value of x) expect(value).toBeCloseTo(1, 7);
    expect(iterations).toBeLessThan(120);
  });

  it('takes few iterations for a quadratic whose axes differ by 1e6', () => {
    const weights = [1, 1e3, 1e6];
    const quadratic = (x: Float64Array, gradient: Float64Array) => {
      gradient.set(x.map((value, i) => 2 * weights[i] * value));
      return x.reduce((sum, value, i) => sum + weights[i] * value * value, 0);
    };
    const { x, iterations } = lbfgs(quadratic, [1, 1, 1]);
    for (const value of x) expect(Math.abs(value)).toBeLessThan(1e-8);
    expect(iterations).toBeLessThan(60);
  });

  it('passes corners of an absolute value that is rounded off', () => {
    const corner = 1e-3;
    const cone = (x: Float64Array, gradient: Float64Array) => {
      const parts = x.map((value, i) => Math.hypot(value - i, corner));
      gradient.set(x.map((value, i) => (value - i) / parts[i]));
      return parts.reduce((sum, part) => sum + part, 0);
    };
    const { x } = lbfgs(cone, [5, -7, 11]);
    expect([...x].map((value) => Math.round(value * 1e5) / 1e5)).toEqual([0, 1, 2]);
  });

  it('ends where it begins at a minimum, and where the gradient is no direction', () => {
    const flat = (_: Float64Array, gradient: Float64Array) => {
      gradient.fill(0);
      return 3;
    };
    expect(lbfgs(flat, [1, 2])).toMatchObject({ value: 3, iterations: 0 });
    const broken = (_: Float64Array, gradient: Float64Array) => {
      gradient.fill(Number.NaN);
      return Number.NaN;
    };
    expect(lbfgs(broken, [1]).iterations).toBe(0);
  });
});
