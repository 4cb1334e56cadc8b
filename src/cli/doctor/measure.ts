/**
 * What a backend reaches on this machine: memory bandwidth, GEMM peak, and what a selected product wins over the dense.
 *
 * The dense limits and how they are measured: cli/shared/measure-peaks.ts.
 */

import type { Backend } from '../../backend.ts';
import { keptCount } from '../../model/config.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import { f32Weights } from '../../tensor/weight-matrix.ts';
import { TensorPool } from '../../tensor-pool.ts';
import { turnEventLoop } from '../../util/turn-event-loop.ts';
import {
  bestSeconds,
  FULL_SIZES,
  type MeasureSizes,
  type Peaks,
  productGigaflop,
  productOperands,
  releaseAll,
  streamGigabytes,
  streamOperands,
} from '../shared/measure-peaks.ts';

/** The published sparsity of Q-Sparse that this project compares everything at. */
const SPARSITY = 0.6;

export interface Measurement extends Peaks {
  threads: number;
  /** Of the same dense product with 60 % of the features selected away, selection included: dense time / sparse time. */
  sparseSpeedup: number;
  /** Share of that sparse time that the selection takes. */
  selectShare: number;
  /** The one-token product with 60 % zeros, selection included: dense time / sparse time. */
  sparseDecodeSpeedup: number;
}

/** Measures `backend` in about two seconds; `onPart` is told what is being measured, and may stop it by throwing. */
export async function measureBackend(
  backend: Backend,
  onPart: (part: string) => void,
  sizes: MeasureSizes = FULL_SIZES,
): Promise<Measurement> {
  const pool = new TensorPool(backend);
  const begin = async (part: string): Promise<void> => {
    onPart(part);
    await turnEventLoop();
  };
  await begin('memory bandwidth');
  const stream = measureStream(backend, pool, sizes);
  await begin('matrix product');
  const product = await measureProduct(backend, pool, sizes, begin);
  return { threads: backend.threads, ...stream, ...product };
}

function measureStream(
  backend: Backend,
  pool: TensorPool,
  sizes: MeasureSizes,
): Pick<Measurement, 'gbPerSecond' | 'sparseDecodeSpeedup'> {
  const { kernels } = backend;
  const { stream, minSeconds } = sizes;
  const kept = keptCount(SPARSITY, stream);
  const { x, w, out } = streamOperands(pool, stream);
  const selected = takeRows(pool, 1, stream, kept);
  const weights = f32Weights(w);
  const dense = bestSeconds(() => kernels.weightMatvec(x, weights, out), minSeconds);
  const sparse = bestSeconds(() => {
    kernels.selectTopK(x, kept, selected);
    kernels.weightMatvec(selected, weights, out);
  }, minSeconds);
  releaseAll(pool, [w, x, out, selected.start, selected.index, selected.value]);
  pool.trim();
  return { gbPerSecond: streamGigabytes(sizes) / dense, sparseDecodeSpeedup: dense / sparse };
}

async function measureProduct(
  backend: Backend,
  pool: TensorPool,
  sizes: MeasureSizes,
  begin: (part: string) => Promise<void>,
): Promise<Pick<Measurement, 'gflops' | 'sparseSpeedup' | 'selectShare'>> {
  const { kernels } = backend;
  const { product, minSeconds } = sizes;
  const kept = keptCount(SPARSITY, product);
  const { a, b, c } = productOperands(pool, product);
  const selected = takeRows(pool, product, product, kept);
  const dense = bestSeconds(() => kernels.matmul(a, b, c), minSeconds);
  await begin('top-K product');
  const select = bestSeconds(() => kernels.selectTopK(a, kept, selected), minSeconds);
  const sparse = select + bestSeconds(() => kernels.sparseMatmul(selected, b, c), minSeconds);
  releaseAll(pool, [a, b, c, selected.start, selected.index, selected.value]);
  pool.trim();
  return { gflops: productGigaflop(sizes) / dense, sparseSpeedup: dense / sparse, selectShare: select / sparse };
}

function takeRows(pool: TensorPool, rows: number, cols: number, kept: number): SparseRows {
  const [start, index] = [pool.take('i32', [rows + 1]), pool.take('i32', [rows * kept])];
  return { rows, cols, start, index, value: pool.take('f32', [rows * kept]) };
}
