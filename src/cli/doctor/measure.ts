/**
 * What a backend reaches on this machine: memory bandwidth, GEMM peak, and what a selected product wins over the dense.
 *
 * Best of several runs, because everything else on the machine only ever makes a run slower. Shapes are those at which
 * the limits show: a matrix far beyond the caches for the bandwidth, 1024^3 for the arithmetic.
 */

import type { Backend } from '../../backend.ts';
import { keptCount } from '../../model/config.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { TensorPool } from '../../tensor-pool.ts';

export interface MeasureSizes {
  /** Width and height of the streamed matrix. */
  stream: number;
  /** Extent of the matrix product. */
  product: number;
  /** Each part is repeated at least this long. */
  minSeconds: number;
}

/** 256 MiB of streamed weights: many times the last-level cache of anything but the largest servers. */
const FULL_SIZES: MeasureSizes = { stream: 8192, product: 1024, minSeconds: 0.35 };
/** The published sparsity of Q-Sparse that this project compares everything at. */
const SPARSITY = 0.6;
const MIN_RUNS = 4;

export interface Measurement {
  threads: number;
  /** Dense one-token product over 256 MiB of weights: bytes of weights per second, 1e9. */
  gbPerSecond: number;
  /** Dense 1024^3 product, 1e9 floating-point operations per second. */
  gflops: number;
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
    await new Promise((resolve) => setImmediate(resolve));
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
  { stream, minSeconds }: MeasureSizes,
): Pick<Measurement, 'gbPerSecond' | 'sparseDecodeSpeedup'> {
  const { kernels } = backend;
  const kept = keptCount(SPARSITY, stream);
  const w = pool.take('f32', [stream, stream]);
  // Pages never written are all one page of zeros, which the cache would serve.
  w.data.fill(0.01);
  const x = ramp(pool, [1, stream]);
  const out = pool.take('f32', [1, stream]);
  const selected = takeRows(pool, 1, stream, kept);
  const xRow = { ...x, shape: [stream] };
  const outRow = { ...out, shape: [stream] };
  const dense = bestSeconds(() => kernels.matvec(xRow, w, outRow), minSeconds);
  const sparse = bestSeconds(() => {
    kernels.selectTopK(x, kept, selected);
    kernels.sparseMatvec(selected, w, outRow);
  }, minSeconds);
  releaseAll(pool, [w, x, out, selected.start, selected.index, selected.value]);
  pool.trim();
  return { gbPerSecond: (stream ** 2 * 4) / dense / 1e9, sparseDecodeSpeedup: dense / sparse };
}

async function measureProduct(
  backend: Backend,
  pool: TensorPool,
  { product, minSeconds }: MeasureSizes,
  begin: (part: string) => Promise<void>,
): Promise<Pick<Measurement, 'gflops' | 'sparseSpeedup' | 'selectShare'>> {
  const { kernels } = backend;
  const kept = keptCount(SPARSITY, product);
  const a = ramp(pool, [product, product]);
  const b = ramp(pool, [product, product]);
  const out = pool.take('f32', [product, product]);
  const selected = takeRows(pool, product, product, kept);
  const dense = bestSeconds(() => kernels.matmul(a, b, out), minSeconds);
  await begin('top-K product');
  const select = bestSeconds(() => kernels.selectTopK(a, kept, selected), minSeconds);
  const sparse = select + bestSeconds(() => kernels.sparseMatmul(selected, b, out), minSeconds);
  releaseAll(pool, [a, b, out, selected.start, selected.index, selected.value]);
  pool.trim();
  return { gflops: (2 * product ** 3) / dense / 1e9, sparseSpeedup: dense / sparse, selectShare: select / sparse };
}

/** Distinct values of both signs in no order, as activations are, so that the selection has its usual work. */
function ramp(pool: TensorPool, shape: readonly number[]): FloatTensor {
  const tensor = pool.take('f32', shape);
  for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = (((i * 2654435761) >>> 0) / 2 ** 32) * 2 - 1;
  return tensor;
}

function takeRows(pool: TensorPool, rows: number, cols: number, kept: number): SparseRows {
  const [start, index] = [pool.take('i32', [rows + 1]), pool.take('i32', [rows * kept])];
  return { rows, cols, start, index, value: pool.take('f32', [rows * kept]) };
}

function releaseAll(pool: TensorPool, tensors: readonly Parameters<TensorPool['release']>[0][]): void {
  for (const tensor of tensors) pool.release(tensor);
}

/** Seconds of the fastest run, of at least 4 runs and `minSeconds` in all. */
function bestSeconds(work: () => void, minSeconds: number): number {
  let best = Infinity;
  let total = 0;
  for (let run = 0; run < MIN_RUNS || total < minSeconds; run++) {
    const from = performance.now();
    work();
    const seconds = (performance.now() - from) / 1000;
    best = Math.min(best, seconds);
    total += seconds;
  }
  return best;
}
