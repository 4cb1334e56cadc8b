/**
 * The two limits of a backend on this machine, measured: memory bandwidth and dense matrix product.
 *
 * Best of several runs, because everything else on the machine only ever makes a run slower. Shapes are those at which
 * the limits show: a matrix far beyond the caches for the bandwidth, 1024^3 for the arithmetic.
 */

import type { Backend } from '../../backend.ts';
import type { FloatTensor, Tensor } from '../../tensor/tensor.ts';
import { f32Weights } from '../../tensor/weight-matrix.ts';
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
export const FULL_SIZES: MeasureSizes = { stream: 8192, product: 1024, minSeconds: 0.35 };
const MIN_RUNS = 4;

export interface Peaks {
  /** Dense one-token product over 256 MiB of weights: bytes of weights per second, 1e9. */
  gbPerSecond: number;
  /** Dense 1024^3 product, 1e9 floating-point operations per second. */
  gflops: number;
}

/** Both limits in about a second. */
export function measurePeaks(backend: Backend, sizes: MeasureSizes = FULL_SIZES): Peaks {
  const pool = new TensorPool(backend);
  const { kernels } = backend;
  const { x, w, out } = streamOperands(pool, sizes.stream);
  const read = bestSeconds(() => kernels.weightMatvec(x, f32Weights(w), out), sizes.minSeconds);
  releaseAll(pool, [x, w, out]);
  pool.trim();
  const { a, b, c } = productOperands(pool, sizes.product);
  const product = bestSeconds(() => kernels.matmul(a, b, c), sizes.minSeconds);
  releaseAll(pool, [a, b, c]);
  pool.trim();
  return { gbPerSecond: streamGigabytes(sizes) / read, gflops: productGigaflop(sizes) / product };
}

/** One token x and weights w that no cache holds. */
export function streamOperands(pool: TensorPool, extent: number): Record<'x' | 'w' | 'out', Tensor<'f32'>> {
  const w = pool.take('f32', [extent, extent]);
  // Pages never written are all one page of zeros, which the cache would serve.
  w.data.fill(0.01);
  return { x: ramp(pool, [1, extent]), w, out: pool.take('f32', [1, extent]) };
}

export function productOperands(pool: TensorPool, extent: number): { a: FloatTensor; b: FloatTensor; c: FloatTensor } {
  const shape = [extent, extent];
  return { a: ramp(pool, shape), b: ramp(pool, shape), c: pool.take('f32', shape) };
}

/** Of weights, in 1e9 bytes. */
export function streamGigabytes({ stream }: MeasureSizes): number {
  return (stream ** 2 * 4) / 1e9;
}

export function productGigaflop({ product }: MeasureSizes): number {
  return (2 * product ** 3) / 1e9;
}

export function releaseAll(pool: TensorPool, tensors: readonly Tensor[]): void {
  for (const tensor of tensors) pool.release(tensor);
}

/** Seconds of the fastest run, of at least 4 runs and `minSeconds` in all. */
export function bestSeconds(work: () => void, minSeconds: number): number {
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

/** Distinct values of both signs in no order, as activations are, so that a selection has its usual work. */
function ramp(pool: TensorPool, shape: readonly number[]): Tensor<'f32'> {
  const tensor = pool.take('f32', shape);
  for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = (((i * 2654435761) >>> 0) / 2 ** 32) * 2 - 1;
  return tensor;
}
