/**
 * `bench product`: the product of many tokens with one matrix, dense against top-K and blocks, the kernel below training and prefill.
 *
 * Every token has its own mask. The yardstick is the project's own dense GEMM on the same matrices in the same round, and the
 * ratio is given with and without the selection, because in a model one selection serves several products.
 */

import { Arena } from '../../arena.ts';
import type { Backend } from '../../backend.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from '../../bench/rounds.ts';
import { median } from '../../util/median.ts';
import { Prng } from '../../util/prng.ts';
import type { Column } from '../shared/table.ts';
import { BenchSelection, type BenchSparsifier, keptBy } from './bench-sparsifiers.ts';
import { msPerCall } from './ms-per-call.ts';

export interface ProductShape {
  tokens: number;
  inputs: number;
  outputs: number;
}

export interface ProductRow extends Record<string, unknown> {
  shape: string;
  dtype: 'f32';
  sparsifier: BenchSparsifier;
  sparsity: number;
  msPerCall: number;
  /** Multiply-adds really done, two operations each, 1e9 per second. */
  gflops: number;
  gflopsDenseEquivalent: number;
  /** Dense time over the time of the product, and over product and selection together. */
  speedupOverDense: number;
  speedupWithSelection: number;
  spread: number;
}

export const PRODUCT_COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'sparsifier' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'msPerCall', title: 'ms' },
  { key: 'gflops', title: 'GFLOP/s done' },
  { key: 'gflopsDenseEquivalent', title: 'dense-eq.' },
  { key: 'speedupOverDense', title: 'x dense' },
  { key: 'speedupWithSelection', title: 'with selection' },
  { key: 'spread', format: (share: number) => `${(100 * share).toFixed(0)} %` },
];

/** The shapes of shared measurements: a wide layer over a short prompt, and a training batch of d512-l8. */
export const PRODUCT_SHAPES: readonly ProductShape[] = [
  { tokens: 192, inputs: 2048, outputs: 2048 },
  { tokens: 2048, inputs: 512, outputs: 1408 },
];

export interface ProductVariant {
  sparsifier: BenchSparsifier;
  sparsity: number;
}

/** The rows in the order of `variants`, whose first has sparsity 0: dense. */
export async function benchProduct(
  backend: Backend,
  shape: ProductShape,
  variants: readonly ProductVariant[],
  seed: number,
  rounds: RoundsOptions,
): Promise<ProductRow[]> {
  const { tokens, inputs, outputs } = shape;
  const arena = new Arena(backend);
  const measure = measurer(backend, arena, shape, seed);
  const dense = 2 * tokens * inputs * outputs;
  try {
    const values = await measureRounds(variants, measure, rounds);
    const product = values.map((round) => round.map(({ productMs }) => productMs));
    const both = values.map((round) => round.map(({ productMs, selectMs }) => productMs + selectMs));
    return variants.map(({ sparsifier, sparsity }, s) => {
      const msPerCall = median(product[s]);
      return {
        shape: `${tokens} x ${inputs} x ${outputs}`,
        dtype: 'f32',
        sparsifier,
        sparsity,
        msPerCall,
        gflops: ((dense / inputs) * keptBy(sparsifier, sparsity, inputs)) / msPerCall / 1e6,
        gflopsDenseEquivalent: dense / msPerCall / 1e6,
        speedupOverDense: speedup(product[0], product[s]),
        speedupWithSelection: speedup(product[0], both[s]),
        spread: spread(product[s]),
      };
    });
  } finally {
    arena.free();
  }
}

function measurer(backend: Backend, arena: Arena, { tokens, inputs, outputs }: ProductShape, seed: number) {
  const { kernels } = backend;
  const prng = new Prng(seed);
  const normals = (rows: number, cols: number) => {
    const tensor = arena.tensor('f32', [rows, cols]);
    for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = prng.normal();
    return tensor;
  };
  const [x, w, out] = [normals(tokens, inputs), normals(inputs, outputs), arena.tensor('f32', [tokens, outputs])];
  const selection = new BenchSelection(arena, tokens, inputs);
  return ({ sparsifier, sparsity }: ProductVariant): { productMs: number; selectMs: number } => {
    if (sparsity === 0) return { productMs: msPerCall(() => kernels.matmul(x, w, out)), selectMs: 0 };
    const { list, run } = selection.of(kernels, x, sparsifier, keptBy(sparsifier, sparsity, inputs));
    const selectMs = msPerCall(run);
    return { selectMs, productMs: msPerCall(() => kernels.sparseMatmul(list, w, out)) };
  };
}
