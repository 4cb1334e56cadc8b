/** A typed array over memory that somebody else allocated: the one place that maps a dtype to its array class. */

import type { DataOf, DType } from './tensor.ts';

/** `length` elements of `dtype` from byte `byteOffset` on (a multiple of the element's size). */
export function viewOf<D extends DType>(
  buffer: ArrayBufferLike,
  dtype: D,
  byteOffset: number,
  length: number,
): DataOf[D] {
  if (dtype === 'f64') return new Float64Array(buffer, byteOffset, length) as DataOf[D];
  if (dtype === 'f32') return new Float32Array(buffer, byteOffset, length) as DataOf[D];
  return new Int32Array(buffer, byteOffset, length) as DataOf[D];
}
