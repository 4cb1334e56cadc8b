import { describe, expect, it } from 'vitest';
import { recipes } from '../../recipes/conversions.mjs';
import { PLAN, planned, sharesText, stepsOf } from './plan.mjs';

const OPTIONS = { runs: 'runs', model: 'm.gguf', text: ['books'], calibrationText: 'c.txt', train: ['--tokens', '9'] };
const entry = (name) => PLAN.find((one) => one.name === name);

describe('the plan', () => {
  it('has every recipe once, and what an entry begins with before it', () => {
    const named = PLAN.flatMap(({ recipe }) => (recipe ? [recipe.replace('conversions/', '')] : []));
    expect([...named].sort()).toEqual(Object.keys(recipes).sort());
    for (const { after } of PLAN) if (after) expect(PLAN.some(({ name }) => name === after)).toBe(true);
    expect(new Set(PLAN.map(({ name }) => name)).size).toBe(PLAN.length);
  });

  it('chooses by parts of names, with what is needed before', () => {
    expect(planned(['relufication']).map(({ name }) => name)).toEqual(['relufication-1', 'relufication']);
    expect(planned(['drelu', 'cats']).map(({ name }) => name)).toEqual(['cats-50', 'drelu']);
    expect(planned(undefined)).toBe(PLAN);
  });

  it('writes shares as the command line has them', () => {
    expect([sharesText(0.4), sharesText({ qkv: 0.4, down: 0.6 })]).toEqual(['0.4', 'qkv=0.4,down=0.6']);
  });

  it('makes each model of the base, a second stage of the first', () => {
    const base = ['convert', 'm.gguf', 'runs/base', '--to', 'checkpoint'];
    expect(stepsOf(entry('topk-30'), OPTIONS)).toEqual({
      commands: [{ done: 'runs/base', args: base }],
      ...{ evaluated: 'runs/base', sparsity: 0.3 },
    });
    const [, wina] = stepsOf(entry('wina-50'), OPTIONS).commands;
    expect(wina.args).toEqual(['convert', 'runs/base', 'runs/wina', '--to', 'checkpoint', '--wina']);
    const [, second] = stepsOf(entry('relufication'), OPTIONS).commands;
    expect(second).toEqual({
      run: 'runs/relufication',
      args: [
        ...['continue', 'runs/relufication-1', '--recipe', 'conversions/relufication-2', '--text', 'books'],
        ...['--out', 'runs/relufication', '--tokens', '9'],
      ],
    });
  });
});
