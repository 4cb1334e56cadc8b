import { describe, expect, it } from 'vitest';
import { lawForm, lawLoss, PRINTED_CONSTANTS } from './law-form.ts';
import { cheapest, largestSize, lossOverDense, optimalSparsity, parametersSaved } from './optimal-sparsity.ts';

const law = lawForm('exponential');

describe('optimalSparsity', () => {
  it('is 50.24 % with the printed constants, not the 45.58 % printed beside them', () => {
    expect(optimalSparsity(law, PRINTED_CONSTANTS)).toBeCloseTo(0.5024, 4);
    // 1.8376 activated parameters for each at 45.58 %: alpha / beta would have to be about that.
    expect(optimalSparsity(law, { ...PRINTED_CONSTANTS, beta: 0.0547 })).toBeCloseTo(0.4558, 3);
  });

  it('is 1 - beta / alpha without B, and 0 where that is negative', () => {
    const without = lawForm('exponential-without-b');
    for (const beta of [0.03, 0.05, 0.09]) {
      expect(optimalSparsity(without, { E: 2, C: 1, alpha: 0.1, beta })).toBeCloseTo(1 - beta / 0.1, 6);
    }
    expect(optimalSparsity(without, { E: 2, C: 1, alpha: 0.1, beta: 0.12 })).toBe(0);
  });

  it('lies where beta u C exp(beta u) = alpha (B + C exp(beta u))', () => {
    const constants = { E: 1, B: 0.8, C: 0.7, alpha: 0.25, beta: 0.2 };
    const u = 1 / (1 - optimalSparsity(law, constants));
    const above = constants.C * Math.exp(constants.beta * u);
    expect(constants.beta * u * above).toBeCloseTo(constants.alpha * (constants.B + above), 6);
  });

  it('is flat around the optimum: 1.9 % of the reducible loss, 1.21 times fewer parameters, at most 0.4 % from 35 to 60 %', () => {
    const best = optimalSparsity(law, PRINTED_CONSTANTS);
    const at = (sparsity: number) => lossOverDense(law, PRINTED_CONSTANTS, sparsity);
    expect(at(best)).toBeCloseTo(0.981, 3);
    expect(parametersSaved(law, PRINTED_CONSTANTS, best)).toBeCloseTo(1.216, 3);
    for (const sparsity of [0.35, 0.4558, 0.6]) expect(at(sparsity) / at(best)).toBeLessThan(1.004);
    expect(at(0.8)).toBeCloseTo(1.039, 3);
  });
});

describe('cheapest', () => {
  it('finds the optimum of activated parameters, whatever one of them costs', () => {
    const activated = (size: number, sparsity: number) => 4e8 * size * (1 - sparsity);
    const choice = cheapest(law, PRINTED_CONSTANTS, activated, 4e9)!;
    expect(choice.sparsity).toBeCloseTo(0.5024, 3);
    expect(choice.size * (1 - choice.sparsity)).toBeCloseTo(10, 6);
    expect(choice.loss).toBeCloseTo(lawLoss(law, PRINTED_CONSTANTS, choice), 12);
  });

  it('chooses dense where zeros save nothing, and less sparsity where they save less', () => {
    expect(cheapest(law, PRINTED_CONSTANTS, (size) => size, 10)?.sparsity).toBe(0);
    const half = (size: number, sparsity: number) => size * (1 - 0.6 * sparsity);
    expect(cheapest(law, PRINTED_CONSTANTS, half, 10)?.sparsity).toBeLessThan(0.5);
  });

  it('keeps to the largest sparsity that is allowed', () => {
    const activated = (size: number, sparsity: number) => size * (1 - sparsity);
    const choice = cheapest(law, PRINTED_CONSTANTS, activated, 10, { largestSparsity: 0.3 });
    expect(choice?.sparsity).toBeCloseTo(0.3, 6);
  });

  it('is null where no model is cheap enough', () => {
    expect(cheapest(law, PRINTED_CONSTANTS, (size) => size + 20, 10)).toBeNull();
  });
});

describe('largestSize', () => {
  it('is where the cost meets the budget', () => {
    expect(largestSize((size) => 3 * size + 4, 100)).toBeCloseTo(32, 6);
  });
});
