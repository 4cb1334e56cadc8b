/** A typed array over memory that somebody else allocated: the one place that maps a dtype to its array class. */

import { BYTES_PER_ELEMENT, type DataOf, type DType } from './tensor.ts';

/** `length` elements of `dtype` from byte `byteOffset` on (a multiple of the element's size). */
export function viewOf<D extends DType>(
  buffer: ArrayBufferLike,
  dtype: D,
  byteOffset: number,
  length: number,
): DataOf[D] {
  return new (DATA[dtype] as unknown as Data<D>)(buffer, byteOffset, length);
}

/** `length` elements of `dtype`, all 0, in JavaScript's own memory. */
export function newData<D extends DType>(dtype: D, length: number): DataOf[D] {
  return viewOf(new ArrayBuffer(length * BYTES_PER_ELEMENT[dtype]), dtype, 0, length);
}

type Data<D extends DType> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => DataOf[D];

const DATA = {
  f32: Float32Array,
  f64: Float64Array,
  i32: Int32Array,
  i8: Int8Array,
  u8: Uint8Array,
  u16: Uint16Array,
};
