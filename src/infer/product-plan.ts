/**
 * How a product with stored weights runs: rows streamed or tiles of the weights, its input as a list of non-zeros or dense.
 *
 * A table of measured crossings (`qsparse bench product --dtype`, bench/results/inference-speed/products.json; AVX2). The choice changes time, and the
 * last bits of f32 and bf16 products; never those of int8 and ternary ones. Pure, and in one place.
 */

import type { WeightType } from '../tensor/weight-matrix.ts';

export interface ProductPlan {
  /** `weightMatvec` streams the rows that the tokens need, `weightMatmul` lets all tokens pass over tiles of the weights. */
  readonly kernel: 'weightMatvec' | 'weightMatmul';
  /** Is the list of non-zeros multiplied, or the dense rows? */
  readonly skipsZeros: boolean;
}

interface Crossings {
  /** From so many tokens on lists pass over tiles, and dense rows go through the GEMM. */
  readonly tileTokens: number;
  readonly gemmTokens: number;
  /** Below this share of non-zeros tiles with lists beat the GEMM. */
  readonly tileDensity: number;
  /** The same against streaming dense rows, which is what the tokens between the two crossings would do else. */
  readonly tileOverStream: number;
}

const CROSSINGS: Readonly<Record<WeightType, Crossings>> = {
  f32: { tileTokens: 16, gemmTokens: 16, tileDensity: 0.55, tileOverStream: 0.55 },
  bf16: { tileTokens: 16, gemmTokens: 16, tileDensity: 0.5, tileOverStream: 0.5 },
  int8: { tileTokens: 8, gemmTokens: 40, tileDensity: 0.55, tileOverStream: 0.5 },
  ternary: { tileTokens: 8, gemmTokens: 256, tileDensity: 0.65, tileOverStream: 0.6 },
};

/**
 * Streams are bound by the bytes of weights, and a row that no token needs is not read: skipping pays from a few per cent of zeros on, far
 * earlier than in tiles.
 */
const STREAM_DENSITY = 0.95;

const STREAM_LIST = { kernel: 'weightMatvec', skipsZeros: true } as const;
const STREAM_DENSE = { kernel: 'weightMatvec', skipsZeros: false } as const;
const TILES = { kernel: 'weightMatmul', skipsZeros: true } as const;
const GEMM = { kernel: 'weightMatmul', skipsZeros: false } as const;

/** For `tokens` rows with this share of non-zeros, 0 .. 1, all rows together. */
export function planProduct(dtype: WeightType, tokens: number, density: number): ProductPlan {
  const { tileTokens, gemmTokens, tileDensity, tileOverStream } = CROSSINGS[dtype];
  const isMany = tokens >= gemmTokens;
  if (tokens >= tileTokens && density < (isMany ? tileDensity : tileOverStream)) return TILES;
  if (isMany) return GEMM;
  return density < STREAM_DENSITY ? STREAM_LIST : STREAM_DENSE;
}
