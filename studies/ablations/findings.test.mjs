/** The generator of docs/findings.md, on results made by hand, and the committed page against the committed results. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../bench/lib/processes.mjs';
import { recipes } from '../../recipes/ablations.mjs';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { generate, RESULTS } from './findings.mjs';
import { plannedRuns, SEEDS } from './plan.mjs';
import { Results } from './results.mjs';
import { blocksOf, l1Models, PROJECTIONS } from './tables.mjs';

const DOC = readFileSync(path.join(ROOT, 'docs/findings.md'), 'utf8');
const POINTS = ['qkv', 'o', 'gateUp', 'down'];
const byPoint = (value) => Object.fromEntries(POINTS.map((point) => [point, value]));

/** A run with this loss and this share of zeros, everything else the same. */
function run(validationLoss, zeros = 0) {
  const points = Array.from({ length: 10 }, (_, i) => ({ tokens: 1e5 * (i + 1), seconds: i, loss: 7 - 0.2 * i }));
  return {
    backend: 'native avx2, 1 thread',
    quality: { validationLoss },
    curve: { points, validation: [] },
    overTime: [1, 2, 3].map((step) => ({ step, zeros: byPoint(zeros + step / 100), deadChannels: 0.02 })),
    last: {
      gradNorm: Object.fromEntries(PROJECTIONS.map((name) => [name, [0.1, 0.2]])),
      energyKept: byPoint([0.9, 0.7]),
    },
    activated: { activatedParameters: 1e6 * (1 - zeros), modelSparsity: zeros },
  };
}

const everyModel = (shift) =>
  Object.fromEntries(Object.keys(recipes).map((name, i) => [name, run(4 + shift + i / 100, 0.3 + i / 100)]));
const speed = {
  ...{ machine: 'A processor', threads: 2, rounds: 3, steps: 16 },
  models: Object.fromEntries(Object.keys(recipes).map((name) => [name, { tokensPerSecond: 1e4, overDense: 1.25 }])),
};
const FULL = new Results([everyModel(0), everyModel(0.2), {}], speed);
const lineWith = (block, text) => block.split('\n').find((line) => line.includes(text));

describe('results over seeds', () => {
  const results = new Results([{ a: run(4), b: run(4.1) }, { a: run(5), b: run(5.3) }, { b: run(9) }], null);

  it('takes differences seed by seed, of the seeds that both have', () => {
    expect(results.loss('a')).toMatchObject({ mean: 4.5, count: 2 });
    expect(results.loss('a').deviation).toBeCloseTo(Math.SQRT1_2);
    const { mean, deviation, count } = results.difference('b', 'a');
    expect([mean, deviation, count].map((value) => Number(value.toFixed(4)))).toEqual([0.2, 0.1414, 2]);
    expect(results.difference('a', 'c')).toBeNull();
    expect(results.speedOf('a')).toBeUndefined();
  });
});

describe('the plan', () => {
  it('trains every recipe, the ones that are compared over seeds with each seed', () => {
    const runs = plannedRuns();
    expect(new Set(runs.map(({ name }) => name))).toEqual(new Set(Object.keys(recipes)));
    expect(runs.filter(({ name }) => name === 'topk50').map(({ seed }) => seed)).toEqual(SEEDS);
    expect(runs.filter(({ name }) => name === 'qkv-only-l2').map(({ seed }) => seed)).toEqual(SEEDS.slice(0, 1));
  });

  it('has no two recipes of one configuration', () => {
    const texts = Object.values(recipes).map(({ model, train }) => JSON.stringify([resolveConfig(model), train]));
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('has a recipe for every model of the L1 part', () => {
    for (const { name } of l1Models()) expect(recipes).toHaveProperty([name]);
  });
});

describe('the page', () => {
  it('has a line a model: loss, difference, zeros, activated parameters, speed', () => {
    const block = blocksOf(FULL)['loss-by-sparsity'];
    expect(lineWith(block, '`topk30`')).toBe(
      '| `topk30` | 2 | 4.110 ± 0.141 | +0.010 ± 0.000 | 31 % | 0.69 M | 1.25 x |',
    );
    expect(lineWith(block, '| `dense`')).toContain('| 2 | 4.100 ± 0.141 |  | 30 % |');
  });

  it('reads top-K off at the zeros of ReLU', () => {
    // relu is the seventh recipe, beyond topk70: nothing to read off. With zeros between two neighbours there is.
    const models = { topk50: run(4, 0.5), topk70: run(4.2, 0.7), relu: run(4.5, 0.6) };
    expect(blocksOf(new Results([models], null))['relu-equal']).toContain('| 60.0 % | 4.500 | 4.100 | +0.400 |');
    expect(blocksOf(FULL)['relu-equal'].split('\n')).toHaveLength(2);
  });

  it('keeps its prose, fills every block and shows every figure', () => {
    const { text, figures } = generate(DOC, FULL);
    const prose = (page) => page.replace(/(<!-- generated: [\w-]+ -->)[\s\S]*?(<!-- \/generated -->)/g, '$1$2');
    expect(prose(text)).toBe(prose(DOC));
    const shown = [...text.matchAll(/figures\/(ablations-[\w-]+\.svg)/g)].map(([, name]) => name);
    expect(Object.keys(figures).sort()).toEqual(shown.sort());
    for (const svg of Object.values(figures)) expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('shows what is there when the rest is not', () => {
    for (const name of Object.keys(recipes)) {
      const { text, figures } = generate(DOC, new Results([{ [name]: run(4) }], null));
      expect(text).not.toMatch(/NaN|undefined|Infinity/);
      expect(Object.keys(figures)).toEqual([]);
    }
  });

  it('as committed is what the committed results give', () => {
    const { text, figures } = generate(DOC, Results.read(RESULTS));
    expect(text, 'run node studies/ablations/findings.mjs').toBe(DOC);
    for (const [name, svg] of Object.entries(figures)) {
      const file = path.join(ROOT, 'docs/figures', name);
      expect(existsSync(file) && readFileSync(file, 'utf8'), 'run node studies/ablations/findings.mjs').toBe(svg);
    }
  });
});
