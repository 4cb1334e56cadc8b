/**
 * SparseRows: the non-zeros of a matrix, row by row (compressed sparse rows), with their values.
 *
 * The one format of every zero that is skipped: top-K selections (the same count in each row), natural zeros of ReLU^2
 * (ragged), their transposes for dW, and the sparse gradients behind closed gates. Inside a row the column indices
 * ascend, so that every product adds in the same order on every backend. Selections in blocks (N:M) say so in `blocks`.
 */

import { type FloatTensor, type IntTensor, sizeOf, type Tensor } from './tensor.ts';

export interface SparseRows {
  readonly rows: number;
  readonly cols: number;
  /** [rows + 1]: row r is elements start[r] .. start[r + 1] of `index` and `value`. */
  readonly start: IntTensor;
  /** [capacity] column of each non-zero, ascending inside a row. */
  readonly index: IntTensor;
  /** [capacity] */
  readonly value: FloatTensor;
  /** Where the list comes out even in blocks of columns: a product then knows how many elements it meets. */
  readonly blocks?: BlockPlaces | undefined;
}

/** Each block of `size` consecutive columns has `kept` elements in every row. */
export interface BlockPlaces {
  readonly size: number;
  readonly kept: number;
  /** [capacity] place of each element in its block: its column modulo size. */
  readonly place: Tensor<'u8'>;
}

export interface BlockRows extends SparseRows {
  readonly blocks: BlockPlaces;
}

/** How many non-zeros are stored. */
export function nonZeros(matrix: SparseRows): number {
  return matrix.start.data[matrix.rows];
}

/** How many are in the rows that `ids` name, all together; a row counts as often as it is named. */
export function nonZerosAt({ start }: SparseRows, ids: IntTensor): number {
  let count = 0;
  for (let i = 0; i < sizeOf(ids.shape); i++) count += start.data[ids.data[i] + 1] - start.data[ids.data[i]];
  return count;
}

/** Non-zeros as a share of all elements, 0 .. 1. */
export function density(matrix: SparseRows): number {
  return nonZeros(matrix) / (matrix.rows * matrix.cols);
}
