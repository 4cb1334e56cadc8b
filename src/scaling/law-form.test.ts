import { describe, expect, it } from 'vitest';
import { constantNames, lawForm, lawLoss, PRINTED_CONSTANTS } from './law-form.ts';

describe('lawLoss', () => {
  const law = lawForm('exponential');
  const printed = (size: number, sparsity: number) => lawLoss(law, PRINTED_CONSTANTS, { size, sparsity });

  it('gives the losses of the figures with the printed constants, N in 1e8', () => {
    // Worked out by hand from eq. 15: 1.86 + (0.01 + 1.89 exp(0.05)) / 3^0.1 and so on.
    expect(printed(3, 0)).toBeCloseTo(3.649, 3);
    expect(printed(7, 0)).toBeCloseTo(3.504, 3);
    expect(printed(13, 0)).toBeCloseTo(3.405, 3);
    expect(printed(70, 0)).toBeCloseTo(3.166, 3);
    expect((printed(1, 0.5) - 1.86) / (printed(1, 0) - 1.86)).toBeCloseTo(1.051, 3);
  });

  it('is a sum of terms: each form by hand at N = 4, S = 0.5', () => {
    const at = { size: 4, sparsity: 0.5, tokens: 9 };
    const constants = { E: 1, A: 3, B: 2, C: 3, alpha: 0.5, beta: 1, drift: 1, F: 6, gamma: 0.5 };
    const value = (name: Parameters<typeof lawForm>[0]) => lawLoss(lawForm(name), constants, at);
    expect(value('dense')).toBeCloseTo(1 + 3 / 2, 12);
    expect(value('linear')).toBeCloseTo(1 + (2 + 1.5) / 2, 12);
    expect(value('power')).toBeCloseTo(1 + (2 + 6) / 2, 12);
    expect(value('exponential')).toBeCloseTo(1 + (2 + 3 * Math.E ** 2) / 2, 12);
    expect(value('exponential-without-b')).toBeCloseTo(1 + (3 * Math.E ** 2) / 2, 12);
    expect(value('drifting-alpha')).toBeCloseTo(1 + (3 * Math.E ** 2) / 4, 12);
    expect(lawLoss(lawForm('dense', { tokens: true }), constants, at)).toBeCloseTo(1 + 3 / 2 + 6 / 3, 12);
  });

  it('names its constants once each', () => {
    expect(constantNames(lawForm('exponential', { tokens: true }))).toEqual({
      scales: ['E', 'B', 'C', 'F'],
      exponents: ['alpha', 'beta', 'gamma'],
    });
  });
});
