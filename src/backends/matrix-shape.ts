/**
 * Rows and columns of a tensor as the kernels see it: the last extent is the columns, all before it are the rows.
 *
 * So [batch, seqLen, dim] and [N, dim] are the same matrix to a kernel, and a vector [n] is one row.
 */

import type { Tensor } from '../tensor/tensor.ts';

/** The last extent; 1 for a scalar. */
export function columnsOf(tensor: Tensor): number {
  return tensor.shape.length === 0 ? 1 : tensor.shape[tensor.shape.length - 1];
}

/** The product of all extents but the last; 1 for a vector. */
export function rowsOf(tensor: Tensor): number {
  const { shape } = tensor;
  let rows = 1;
  for (let i = 0; i < shape.length - 1; i++) rows *= shape[i];
  return rows;
}

/** The number of elements that the shape names (the memory behind a tensor may be longer). */
export function elementsOf(tensor: Tensor): number {
  return rowsOf(tensor) * columnsOf(tensor);
}
