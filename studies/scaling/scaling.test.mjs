/** The plan of the scaling study, and docs/scaling-law.md against the committed results. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../bench/lib/processes.mjs';
import { cellsOf, checkSweepPlan, runOf, tuningCells } from '../../dist/cli/law/sweep-plan.js';
import { generate, RESULTS, readResults } from './document.mjs';
import { plan } from './plan.mjs';

describe('the plan', () => {
  const checked = checkSweepPlan(plan, 'plan.mjs');
  const runs = cellsOf(checked).map((cell) => runOf(checked, cell, checked.rates[0]));

  it('has five sizes or more from about 0.2 to 4 million, seven sparsities, two formats, and the same tokens for all', () => {
    const sizes = [...new Set(runs.map(({ parameters }) => parameters))].sort((a, b) => a - b);
    expect(sizes.length).toBeGreaterThanOrEqual(5);
    expect(sizes[0] / 0.2e6).toBeCloseTo(1, 1);
    expect(sizes.at(-1) / 4e6).toBeCloseTo(1, 1);
    const tokens = runs.map(({ train, model }) => train.steps * train.batchSize * train.accumulate * model.seqLen);
    expect(new Set(tokens)).toEqual(new Set([614_400]));
    expect(runs).toHaveLength(5 * 7 * 2 + 6);
    expect(tuningCells(checked)).toHaveLength(10);
  });

  it('has zeros that are the selection alone', () => {
    for (const { model } of runs)
      expect([model.activation, model.hiddenL1, model.sparsifier]).toEqual(['silu', 0, 'topk']);
  });
});

describe('docs/scaling-law.md', () => {
  const file = path.join(ROOT, 'docs/scaling-law.md');

  it('is what the generator makes of the committed results, figures included', () => {
    const text = readFileSync(file, 'utf8');
    const made = generate(text, readResults(RESULTS));
    expect(made.text).toBe(text);
    const shown = [...text.matchAll(/figures\/(law-[\w-]+\.svg)/g)].map(([, name]) => name);
    for (const name of shown) {
      const figure = path.join(ROOT, 'docs/figures', name);
      expect(existsSync(figure), name).toBe(true);
      expect(readFileSync(figure, 'utf8')).toBe(made.figures[name]);
    }
  });

  it('says what the printed constants give', () => {
    const { text } = generate(readFileSync(file, 'utf8'), { runs: null, otherRates: null, laws: null, recovery: null });
    expect(text).toContain('**50.24 %**, the optimum');
    expect(text).toMatch(/\| 80 % \| 1\.2\d\d \| 1\.03[89]\d \|/);
  });
});
