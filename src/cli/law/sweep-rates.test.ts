import { describe, expect, it } from 'vitest';
import { bestRate, nextRate } from './sweep-rates.ts';

/** Losses of a bowl whose best rate is `best`. */
const bowl = (best: number, rates: readonly number[]) =>
  rates.map((lr) => ({ lr, loss: 4 + Math.log(lr / best) ** 2 }));

describe('nextRate', () => {
  it('is none where the best lies between others', () => {
    expect(nextRate(bowl(4e-3, [2e-3, 4e-3, 8e-3]), 3)).toBeNull();
  });

  it('is a step beyond the end that is best, rounded', () => {
    expect(nextRate(bowl(1e-3, [8e-3, 2e-3, 4e-3]), 3)).toBe(1e-3);
    expect(nextRate(bowl(0.1, [1e-3, 3e-3]), 2)).toBe(9e-3);
  });

  it('walks to the best and stops there', () => {
    const rates = [2e-3, 4e-3];
    for (let next = nextRate(bowl(6e-4, rates), 2); next !== null; next = nextRate(bowl(6e-4, rates), 2))
      rates.push(next);
    expect(rates).toEqual([2e-3, 4e-3, 1e-3, 5e-4, 2.5e-4]);
    expect(bestRate(bowl(6e-4, rates))).toBe(5e-4);
  });

  it('gives up after four', () => {
    const rates = [2e-3, 4e-3];
    for (let next = nextRate(bowl(1e-9, rates), 2); next !== null; next = nextRate(bowl(1e-9, rates), 2))
      rates.push(next);
    expect(rates).toHaveLength(6);
  });

  it('takes a rate at which training diverged for tried, not for better; where all did, goes down', () => {
    const diverged = Number.POSITIVE_INFINITY;
    const losses = (...pairs: [lr: number, loss: number][]) => pairs.map(([lr, loss]) => ({ lr, loss }));
    expect(nextRate(losses([2e-3, 4.1], [4e-3, 4], [8e-3, diverged]), 2)).toBeNull();
    expect(bestRate(losses([8e-3, diverged], [4e-3, diverged]))).toBe(4e-3);
    expect(nextRate(losses([8e-3, diverged], [4e-3, diverged]), 2)).toBe(2e-3);
  });

  it('has no step to take from one rate', () => {
    expect(nextRate(bowl(1e-3, [2e-3]), 1)).toBeNull();
  });
});
