import { describe, expect, it } from 'vitest';
import { planProduct } from './product-plan.ts';

describe('planProduct', () => {
  it('streams the weights for a few tokens, and skips from few zeros on', () => {
    for (const tokens of [1, 4]) {
      expect(planProduct(tokens, 0.9)).toEqual({ kernel: 'weightMatvec', skipsZeros: true });
      expect(planProduct(tokens, 1)).toEqual({ kernel: 'weightMatvec', skipsZeros: false });
    }
  });

  it('multiplies tiles for many, where skipping must pay for itself', () => {
    for (const tokens of [5, 256]) {
      expect(planProduct(tokens, 0.4)).toEqual({ kernel: 'weightMatmul', skipsZeros: true });
      expect(planProduct(tokens, 0.9)).toEqual({ kernel: 'weightMatmul', skipsZeros: false });
    }
  });
});
