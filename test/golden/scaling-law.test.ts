/** The fit against SciPy's of the same runs: `make-scaling-law-goldens.py`. */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fitLaw } from '../../src/scaling/fit-law.ts';
import { type FormName, type LawConstants, type LawPoint, lawForm } from '../../src/scaling/law-form.ts';
import { optimalSparsity } from '../../src/scaling/optimal-sparsity.ts';
import { readJson } from './golden-file.ts';

interface Golden {
  delta: number;
  cases: {
    name: string;
    runs: LawPoint[];
    fits: { form: FormName | 'tokens'; constants: LawConstants; objective: number; optimum?: number }[];
  }[];
}

const { delta, cases } = readJson<Golden>(join(import.meta.dirname, 'data', 'scaling-law.json'));
const fits = cases.flatMap(({ name, runs, fits: own }) =>
  own.map((golden) => ({ name, runs, golden, form: golden.form })),
);

describe('fitLaw beside SciPy', () => {
  it.each(fits)('$name: $form', ({ runs, golden }) => {
    const form = golden.form === 'tokens' ? lawForm('exponential', { tokens: true }) : lawForm(golden.form);
    const { constants, objective } = fitLaw(form, runs, { delta });
    // SciPy may stop early at a corner of the objective, never below its minimum.
    expect(objective).toBeLessThan(golden.objective * (1 + 1e-6));
    expect(objective).toBeGreaterThan(golden.objective * (1 - 1e-3));
    for (const name of ['E', 'alpha', 'beta'].filter((one) => one in golden.constants)) {
      expect(Math.abs(constants[name] / golden.constants[name] - 1), name).toBeLessThan(0.01);
    }
    if (golden.optimum !== undefined) expect(optimalSparsity(form, constants)).toBeCloseTo(golden.optimum, 2);
  });
});
