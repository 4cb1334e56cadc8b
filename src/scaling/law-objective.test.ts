import { describe, expect, it } from 'vitest';
import { gridPoints, TRUTH } from '../../test/support/law-points.ts';
import { Prng } from '../util/prng.ts';
import { FORM_NAMES, type LawConstants, lawForm, lawLoss } from './law-form.ts';
import { LawObjective } from './law-objective.ts';
import { optimalSparsity } from './optimal-sparsity.ts';
import { constrained } from './profile-optimum.ts';

/** Central differences; the step is near the cube root of the rounding error. */
function finiteDifferences(evaluate: (x: Float64Array, gradient: Float64Array) => number, x: Float64Array): number[] {
  const step = 6e-6;
  return [...x].map((value, i) => {
    const [above, below] = [value + step, value - step].map((moved) =>
      evaluate(x.with(i, moved), new Float64Array(x.length)),
    );
    return (above - below) / (2 * step);
  });
}

function expectGradient(evaluate: (x: Float64Array, gradient: Float64Array) => number, x: Float64Array): void {
  const gradient = new Float64Array(x.length);
  evaluate(x, gradient);
  const scale = Math.max(...gradient.map(Math.abs));
  finiteDifferences(evaluate, x).forEach((value, i) => {
    expect(Math.abs(gradient[i] - value) / scale, `variable ${i}`).toBeLessThan(1e-6);
  });
}

const ALL: LawConstants = { ...TRUTH, A: 1.4, drift: 0.05, F: 0.7, gamma: 0.4 };

describe('LawObjective', () => {
  const points = gridPoints({ noise: 0.003, tokens: [1, 3] });

  it.each(FORM_NAMES.flatMap((name) => [false, true].map((tokens) => ({ name, tokens }))))(
    'has the gradient of finite differences: $name, tokens $tokens',
    ({ name, tokens }) => {
      // A delta that leaves about half of the residuals on either side of the corner.
      const objective = new LawObjective(lawForm(name, { tokens }), points, { delta: 0.05 });
      const prng = new Prng(3);
      for (let i = 0; i < 5; i++) {
        const near = objective.variablesOf(ALL).map((value) => value + 0.1 * prng.normal());
        expectGradient(objective.evaluate, near);
      }
    },
  );

  it('is the sum of Huber losses of the logarithms over delta squared', () => {
    const delta = 0.01;
    const form = lawForm('exponential');
    const objective = new LawObjective(form, points, { delta });
    const residuals = points.map((point) => Math.log(lawLoss(form, ALL, point)) - Math.log(point.loss));
    const losses = residuals.map((r) => (Math.abs(r) <= delta ? (r * r) / 2 : delta * (Math.abs(r) - delta / 2)));
    const value = objective.evaluate(objective.variablesOf(ALL), new Float64Array(5));
    expect(value * delta * delta).toBeCloseTo(
      losses.reduce((sum, loss) => sum + loss, 0),
      12,
    );
    objective.residuals(objective.variablesOf(ALL)).forEach((r, i) => {
      expect(r).toBeCloseTo(residuals[i], 12);
    });
  });

  it.each(FORM_NAMES)('has the gradient of finite differences where an exponent is too steep: %s', (name) => {
    const objective = new LawObjective(lawForm(name), points, { delta: 0.05 });
    const steep = objective.variablesOf({ ...ALL, alpha: 6, beta: 11, drift: -9 });
    expectGradient(objective.evaluate, steep);
  });

  it('gives back the constants that its variables stand for', () => {
    const objective = new LawObjective(lawForm('power', { tokens: true }), points);
    const constants = objective.constantsAt(objective.variablesOf(ALL));
    for (const [name, value] of Object.entries(constants)) expect(value).toBeCloseTo(ALL[name], 12);
  });
});

describe('constrained', () => {
  const points = gridPoints({ noise: 0.003 });

  it.each(['exponential', 'exponential-without-b'] as const)('has the gradient of finite differences: %s', (name) => {
    const objective = new LawObjective(lawForm(name), points, { delta: 0.01 });
    const free = objective.variablesOf(ALL).filter((_, v) => objective.names[v] !== 'alpha');
    for (const u of [1.2, 2, 3.7]) expectGradient(constrained(objective, u), free);
  });

  it('chooses the alpha that makes 1 - 1 / u the optimum', () => {
    const objective = new LawObjective(lawForm('exponential'), points);
    const u = 2.4;
    const { B, C, beta } = ALL;
    const above = C * Math.exp(beta * u);
    const constants = { ...ALL, alpha: (beta * u * above) / (B + above) };
    expect(optimalSparsity(lawForm('exponential'), constants)).toBeCloseTo(1 - 1 / u, 6);
    const variables = objective.variablesOf(constants);
    const free = variables.filter((_, v) => objective.names[v] !== 'alpha');
    const value = constrained(objective, u)(free, new Float64Array(free.length));
    expect(value).toBeCloseTo(objective.evaluate(variables, new Float64Array(variables.length)), 8);
  });
});
