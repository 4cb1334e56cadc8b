import { describe, expect, it } from 'vitest';
import { WEIGHT_TYPES } from '../tensor/weight-matrix.ts';
import { planProduct } from './product-plan.ts';

describe('planProduct', () => {
  it.each(WEIGHT_TYPES)('%s: streams the weights for a few tokens, and skips from few zeros on', (dtype) => {
    for (const tokens of [1, 4]) {
      expect(planProduct(dtype, tokens, 0.9)).toEqual({ kernel: 'weightMatvec', skipsZeros: true });
      expect(planProduct(dtype, tokens, 1)).toEqual({ kernel: 'weightMatvec', skipsZeros: false });
    }
  });

  it.each(WEIGHT_TYPES)('%s: tiles for many, where skipping must pay for itself', (dtype) => {
    expect(planProduct(dtype, 256, 0.4)).toEqual({ kernel: 'weightMatmul', skipsZeros: true });
    expect(planProduct(dtype, 256, 0.9)).toEqual({ kernel: 'weightMatmul', skipsZeros: false });
  });

  it('between the two, sparse lists take tiles and dense rows are streamed', () => {
    expect(planProduct('int8', 16, 0.4)).toEqual({ kernel: 'weightMatmul', skipsZeros: true });
    expect(planProduct('int8', 16, 0.8)).toEqual({ kernel: 'weightMatvec', skipsZeros: true });
    expect(planProduct('int8', 16, 1)).toEqual({ kernel: 'weightMatvec', skipsZeros: false });
  });
});
