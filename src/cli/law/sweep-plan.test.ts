import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../util/errors.ts';
import { parseCsv } from '../../util/parse-csv.ts';
import { cellsOf, checkSweepPlan, loadSweepPlan, runOf, tuningCells } from './sweep-plan.ts';
import { trainingBytes, workOf } from './sweep-resources.ts';

const SIZES = {
  small: { dim: 32, hiddenDim: 88, nLayers: 2, nHeads: 2 },
  large: { dim: 64, hiddenDim: 176, nLayers: 2, nHeads: 2 },
};
const PLAN = {
  base: { model: { vocabSize: 256, seqLen: 32, activation: 'silu' }, train: { steps: 4, batchSize: 2 } },
  sizes: SIZES,
  formats: {
    float: {},
    ternary: { model: { weightFormat: 'ternary', activationFormat: 'int8' }, train: { lr: 2e-3 } },
  },
  sparsities: [0, 0.5],
  seeds: [0],
  repeats: [{ size: 'small', format: 'float', sparsity: 0.5, seeds: [0, 1] }],
  rates: [1e-3, 4e-3],
};
const check = (changes: object) => checkSweepPlan({ ...PLAN, ...changes }, 'plan.mjs');

describe('a plan of a sweep', () => {
  const plan = check({});

  it('is a grid with its repeats, no cell twice', () => {
    const cells = cellsOf(plan);
    expect(cells).toHaveLength(2 * 2 * 2 + 1);
    expect(cells.at(-1)).toEqual({ size: 'small', format: 'float', sparsity: 0.5, seed: 1 });
    expect(tuningCells(plan).map(({ size, format }) => `${size} ${format}`)).toEqual([
      ...['small float', 'small ternary', 'large float', 'large ternary'],
    ]);
  });

  it('makes a run of base, format, size and rate, named by what it is', () => {
    const [cell] = cellsOf(plan).filter(({ format, sparsity }) => format === 'ternary' && sparsity === 0.5);
    const run = runOf(plan, cell, 4e-3);
    expect(run.name).toBe('small-ternary-s50-seed0-lr0.004');
    expect(run.model).toMatchObject({ dim: 32, weightFormat: 'ternary', hiddenL1: 0, activation: 'silu' });
    expect(run.train).toMatchObject({ lr: 4e-3, steps: 4, seed: 0 });
    // q, k, v, o and gate, up, down of two layers.
    expect(run.parameters).toBe(2 * (4 * 32 * 32 + 3 * 32 * 88));
    expect(runOf(plan, cell, null).train.lr).toBe(2e-3);
  });

  it('tells settings apart by anything that decides the result', () => {
    const [cell] = cellsOf(plan);
    const settings = [plan, check({ base: { ...PLAN.base, train: { steps: 5 } } })].map(
      (one) => runOf(one, cell, null).settings,
    );
    expect(new Set(settings).size).toBe(2);
    expect(runOf(check({}), cell, null).settings).toBe(settings[0]);
  });

  it('says all that is wrong at once', () => {
    expect(() => check({ sparsities: [1], seeds: [-1], size: 1 })).toThrow(UsageError);
    expect(() => check({ sparsities: [1], seeds: [-1], size: 1 })).toThrow(
      /4 problems: \(1\) unknown field "size".*\(2\) sparsities must be a list of shares.*\(3\) seeds must be.*\(4\) rates are tried/,
    );
    expect(() => check({ sparsities: [0.5] })).toThrow(/rates are tried on dense models/);
    expect(() => check({ sizes: { 'a/b': {} } })).toThrow(/sizes.a\/b must be an object under a name/);
    expect(() => check({ repeats: [{ ...PLAN.repeats[0], size: 'smal' }] })).toThrow(/Did you mean "small"/);
    const endless = check({ base: { ...PLAN.base, train: { steps: 4, warmupSteps: 4 } } });
    expect(() => runOf(endless, cellsOf(endless)[0], null)).toThrow(/warmupSteps\] must end within the run/);
    const odd = check({ base: { model: { dims: 3 } } });
    expect(() => runOf(odd, cellsOf(odd)[0], null)).toThrow(/run small-float-s0-seed0: .*dims/);
  });

  it('knows the runs of tables of before again', async () => {
    const study = await loadSweepPlan(fileURLToPath(new URL('../../../studies/scaling/plan.mjs', import.meta.url)));
    const table = readFileSync(new URL('../../../studies/scaling/results/runs.csv', import.meta.url), 'utf8');
    const cells = cellsOf(study);
    for (const { row } of parseCsv(table, 'runs.csv')) {
      const cell = cells.find(
        ({ size, format, sparsity, seed }) =>
          `${size} ${format} ${sparsity} ${seed}` === `${row.size} ${row.format} ${row.sparsity} ${row.seed}`,
      );
      expect(runOf(study, cell!, study.rates === null ? null : Number(row.lr)).settings, row.run).toBe(row.settings);
    }
  });

  it('knows what a run takes: more memory and work for a larger model', () => {
    const [small, large] = ['small', 'large'].map((size) =>
      runOf(plan, cellsOf(plan).find((one) => one.size === size)!, null),
    );
    expect(trainingBytes(large)).toBeGreaterThan(trainingBytes(small));
    expect(workOf(large.model, large.train) / workOf(small.model, small.train)).toBeGreaterThan(2);
  });
});
