/**
 * A tensor: a typed array in a backend's memory, a shape, and the address that the kernels take.
 *
 * Row-major, contiguous, no strides: where a kernel needs a part of the columns it takes a column range. `data` can be
 * read and written directly on every CPU backend. A tensor does not own its memory: the pool of `tensor-pool.ts` does, or an arena.
 */

import { ShapeError } from '../util/errors.ts';

/**
 * `f64` exists for the reference backend's finite differences and for exact partial sums; the C kernels take f32. `i8` are
 * quantised activations and cached keys and values, `u16` the bits of f16 (caches), `u8` the bytes of a weight matrix in its own layout.
 */
export type DType = 'f32' | 'f64' | 'i32' | 'i8' | 'u8' | 'u16';

export interface DataOf {
  f32: Float32Array;
  f64: Float64Array;
  i32: Int32Array;
  i8: Int8Array;
  u8: Uint8Array;
  u16: Uint16Array;
}

export type FloatType = 'f32' | 'f64';

export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOf[D];
  /** Where the data lies for the C kernels: a machine address (native), a heap offset (wasm), 0 (reference). */
  readonly address: number;
}

export type FloatTensor = Tensor<FloatType>;
export type IntTensor = Tensor<'i32'>;

export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = { f32: 4, f64: 8, i32: 4, i8: 1, u8: 1, u16: 2 };

/** The number of elements of a shape; 1 for the empty shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** The same memory from element `offset` on, under another shape. Throws ShapeError where it would leave the tensor. */
export function view<D extends DType>(tensor: Tensor<D>, shape: readonly number[], offset = 0): Tensor<D> {
  const size = sizeOf(shape);
  if (offset < 0 || offset + size > tensor.data.length) {
    throw new ShapeError('view', `[${shape}] at element ${offset} leaves a tensor of ${tensor.data.length} elements.`);
  }
  return {
    dtype: tensor.dtype,
    shape,
    data: tensor.data.subarray(offset, offset + size) as DataOf[D],
    address: tensor.address === 0 ? 0 : tensor.address + offset * BYTES_PER_ELEMENT[tensor.dtype],
  };
}

/** `[2048, 512]`, for messages. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
