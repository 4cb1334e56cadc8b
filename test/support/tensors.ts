/**
 * Tensors for tests: from numbers, or random from a seed, in any backend's memory.
 */

import type { Backend } from '../../src/backend.ts';
import type { FloatTensor, FloatType, IntTensor } from '../../src/tensor/tensor.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { Prng } from '../../src/util/prng.ts';

export function floatTensor(
  backend: Backend,
  dtype: FloatType,
  shape: readonly number[],
  values: ArrayLike<number>,
): FloatTensor {
  const memory = backend.allocate(dtype, sizeOf(shape));
  memory.data.set(values);
  return { dtype, shape, ...memory };
}

/** Normal with mean 0 and standard deviation 1. */
export function randomTensor(backend: Backend, dtype: FloatType, shape: readonly number[], seed: number): FloatTensor {
  const prng = new Prng(seed);
  return floatTensor(
    backend,
    dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, () => prng.normal()),
  );
}

/** Whole numbers [n]. */
export function intTensor(backend: Backend, values: ArrayLike<number>): IntTensor {
  const memory = backend.allocate('i32', values.length);
  memory.data.set(values);
  return { dtype: 'i32', shape: [values.length], ...memory };
}

/** Token ids below `limit`, all equally likely. */
export function randomIds(backend: Backend, length: number, limit: number, seed: number): IntTensor {
  const prng = new Prng(seed);
  return intTensor(
    backend,
    Array.from({ length }, () => Math.floor(prng.next() * limit)),
  );
}
