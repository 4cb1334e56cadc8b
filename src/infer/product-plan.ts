/**
 * How a product with stored weights runs: token by token or in tiles of the weights, its input as a list of non-zeros or dense.
 *
 * The choice changes time, and the last bits of f32 and bf16 products; never those of int8 and ternary ones. Pure, and in one place.
 */

import { listingPays } from '../ops/non-zeros.ts';

export interface ProductPlan {
  /** `weightMatvec` streams the rows of the weights for each token, `weightMatmul` unpacks a tile of them for all tokens. */
  readonly kernel: 'weightMatvec' | 'weightMatmul';
  /** Is the list of non-zeros multiplied, or the dense rows? */
  readonly skipsZeros: boolean;
}

/** Up to so many tokens each reads the weights for itself: the tiles of a whole matrix are not worth unpacking for them. */
const MATVEC_TOKENS = 4;

/**
 * One token is bound by the bytes of weights, and every zero saves a whole row of them: skipping pays from a few per
 * cent of zeros on, far earlier than in tiles (`listingPays`).
 */
const MATVEC_CROSSOVER = 0.95;

const PLANS = {
  matvec: {
    skipping: { kernel: 'weightMatvec', skipsZeros: true },
    dense: { kernel: 'weightMatvec', skipsZeros: false },
  },
  matmul: {
    skipping: { kernel: 'weightMatmul', skipsZeros: true },
    dense: { kernel: 'weightMatmul', skipsZeros: false },
  },
} as const satisfies Record<string, Record<string, ProductPlan>>;

/** For `tokens` rows with this share of non-zeros, 0 .. 1, all rows together. */
export function planProduct(tokens: number, density: number): ProductPlan {
  if (tokens <= MATVEC_TOKENS) return density < MATVEC_CROSSOVER ? PLANS.matvec.skipping : PLANS.matvec.dense;
  return listingPays(density) ? PLANS.matmul.skipping : PLANS.matmul.dense;
}
