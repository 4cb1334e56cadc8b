/**
 * `bench product --dtype ...`: the product of some tokens with one stored matrix, by weight type, number of tokens and way of multiplying: rows streamed
 * (`weightMatvec`) or tiles (`weightMatmul`), lists or dense. What `infer/product-plan.ts` chooses by.
 *
 * The matrices of one type together are far larger than any cache, as in a model. Selection and quantising are not in the time.
 */

import { Arena } from '../../arena.ts';
import type { Backend } from '../../backend.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from '../../bench/rounds.ts';
import { keptCount } from '../../model/config.ts';
import { matrixView } from '../../tensor/matrix-view.ts';
import { packMatrix } from '../../tensor/pack-matrix.ts';
import type { QuantizedRows } from '../../tensor/quantized-rows.ts';
import { rowStride } from '../../tensor/row-stride.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type WeightMatrix, type WeightType, weightRowBytes } from '../../tensor/weight-matrix.ts';
import { formatPercent } from '../../util/format.ts';
import { median } from '../../util/median.ts';
import { Prng } from '../../util/prng.ts';
import type { Column } from '../shared/table.ts';
import { msPerCall } from './ms-per-call.ts';

export const WAYS = ['matvec', 'matmul'] as const;
export type Way = (typeof WAYS)[number];

export interface StoredProductRow extends Record<string, unknown> {
  shape: string;
  dtype: WeightType;
  tokens: number;
  sparsity: number;
  way: Way;
  msPerCall: number;
  /** Weights times tokens, 1e9 per second, as if all were multiplied. */
  gWeightsPerSecond: number;
  /** Over the faster dense way at this number of tokens. */
  speedupOverDense: number;
  spread: number;
}

export const STORED_PRODUCT_COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'dtype' },
  { key: 'tokens' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'way' },
  { key: 'msPerCall', title: 'ms' },
  { key: 'gWeightsPerSecond', title: 'G weights/s dense-eq.' },
  { key: 'speedupOverDense', title: 'x dense' },
  { key: 'spread', format: (share: number) => formatPercent(share) },
];

/** Inputs and outputs: gate and up of TinyLlama 1.1B. */
const INPUTS = 2048;
const OUTPUTS = 11264;
/** All copies of the matrix together: beyond any cache. */
const BYTES = 96 * 2 ** 20;

interface Variant {
  readonly tokens: number;
  readonly sparsity: number;
  readonly way: Way;
}

/** The rows of one weight type; the first of `sparsities` is 0. */
export async function benchStoredProduct(
  backend: Backend,
  dtype: WeightType,
  tokens: readonly number[],
  sparsities: readonly number[],
  seed: number,
  rounds: RoundsOptions,
): Promise<StoredProductRow[]> {
  const arena = new Arena(backend);
  try {
    const measure = measurer(backend, arena, dtype, Math.max(...tokens), seed);
    const variants = tokens.flatMap((count) =>
      sparsities.flatMap((sparsity) => WAYS.map((way): Variant => ({ tokens: count, sparsity, way }))),
    );
    const values = await measureRounds(variants, measure, rounds);
    const medians = values.map((ms) => median(ms));
    return variants.map(({ tokens, sparsity, way }, v) => {
      const dense = variants.flatMap((other, i) => (other.tokens === tokens && other.sparsity === 0 ? [i] : []));
      const base = dense.reduce((best, i) => (medians[i] < medians[best] ? i : best));
      return {
        shape: `${INPUTS} x ${OUTPUTS}`,
        dtype,
        tokens,
        sparsity,
        way,
        msPerCall: medians[v],
        gWeightsPerSecond: (tokens * INPUTS * OUTPUTS) / medians[v] / 1e6,
        speedupOverDense: speedup(values[base], values[v]),
        spread: spread(values[v]),
      };
    });
  } finally {
    arena.free();
  }
}

function measurer(backend: Backend, arena: Arena, dtype: WeightType, mostTokens: number, seed: number) {
  const { kernels } = backend;
  const prng = new Prng(seed);
  const matrices = createMatrices(arena, dtype, prng);
  const out = arena.tensor('f32', [mostTokens, OUTPUTS]);
  const start = arena.tensor('i32', [mostTokens + 1]);
  const index = arena.tensor('i32', [mostTokens * INPUTS]);
  const value = arena.tensor('f32', [mostTokens * INPUTS]);
  const bytes = arena.tensor('i8', [mostTokens * INPUTS]);
  const scale = arena.tensor('f32', [mostTokens]);
  const x = arena.tensor('f32', [mostTokens, INPUTS]);
  for (let i = 0; i < x.data.length; i++) x.data[i] = prng.normal();
  const quantized = dtype === 'int8' || dtype === 'ternary';
  let next = 0;
  return ({ tokens, sparsity, way }: Variant): number => {
    const rows = <T extends Tensor>(tensor: T, shape: number[], length: number): T =>
      ({ ...tensor, shape, data: tensor.data.subarray(0, length) }) as T;
    const dense = rows(x, [tokens, INPUTS], tokens * INPUTS);
    const list: SparseRows = { rows: tokens, cols: INPUTS, start: rows(start, [tokens + 1], tokens + 1), index, value };
    if (sparsity > 0) kernels.selectTopK(dense, keptCount(sparsity, INPUTS), list);
    const places = sparsity > 0 ? { start: list.start, index } : { start: null, index: null };
    const eight: QuantizedRows = {
      rows: tokens,
      cols: INPUTS,
      ...places,
      value: bytes,
      scale: rows(scale, [tokens], tokens),
    };
    const input = sparsity > 0 ? list : dense;
    if (quantized) kernels.quantizeRows(input, eight);
    const target = rows(out, [tokens, OUTPUTS], tokens * OUTPUTS);
    const product = way === 'matvec' ? kernels.weightMatvec : kernels.weightMatmul;
    return msPerCall(() => product(quantized ? eight : input, matrices[next++ % matrices.length], target));
  };
}

/** Copies of one random matrix in memory of their own. */
function createMatrices(arena: Arena, dtype: WeightType, prng: Prng): WeightMatrix[] {
  const rowBytes = rowStride(weightRowBytes(dtype, OUTPUTS));
  const numbers = Float32Array.from({ length: INPUTS * OUTPUTS }, () => 0.02 * prng.normal());
  const hasScale = dtype === 'int8' || dtype === 'ternary';
  const count = Math.max(2, Math.ceil(BYTES / (INPUTS * rowBytes)));
  const create = (): WeightMatrix => ({
    dtype,
    rows: INPUTS,
    cols: OUTPUTS,
    rowBytes,
    data: arena.tensor('u8', [INPUTS * rowBytes]),
    scale: hasScale ? arena.tensor('f32', [1, OUTPUTS]) : null,
    scaleAxis: 'cols',
    groupRows: INPUTS,
  });
  const first = create();
  packMatrix(matrixView(numbers, INPUTS, OUTPUTS), first, { name: 'random' });
  return [first, ...Array.from({ length: count - 1 }, () => copyOf(first, create()))];
}

function copyOf(from: WeightMatrix, to: WeightMatrix): WeightMatrix {
  to.data.data.set(from.data.data);
  if (from.scale) to.scale?.data.set(from.scale.data);
  return to;
}
