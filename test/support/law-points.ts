/** Runs drawn from a known scaling law: five sizes, seven sparsities, normal errors of the logarithm of the loss. */

import { type LawConstants, type LawPoint, lawForm, lawLoss } from '../../src/scaling/law-form.ts';
import { Prng } from '../../src/util/prng.ts';

export const TRUTH: LawConstants = { E: 2.4, B: 0.3, C: 1.1, alpha: 0.3, beta: 0.12 };
export const SIZES = [0.2, 0.45, 0.9, 1.9, 4];
export const SPARSITIES = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8];

export interface GridOptions {
  /** Deviation of the logarithm. */
  noise?: number;
  seed?: number;
  constants?: LawConstants;
  /** With the term F / D^gamma where there are several. */
  tokens?: readonly number[];
}

export function gridPoints({ noise = 0, seed = 1, constants = TRUTH, tokens = [1] }: GridOptions = {}): LawPoint[] {
  const form = lawForm('exponential', { tokens: constants.F !== undefined });
  const prng = new Prng(seed);
  return SIZES.flatMap((size) =>
    SPARSITIES.flatMap((sparsity) =>
      tokens.map((count) => {
        const input = { size, sparsity, tokens: count };
        return { ...input, loss: lawLoss(form, constants, input) * Math.exp(noise * prng.normal()) };
      }),
    ),
  );
}
