/**
 * QuantizedRows: activations in 8 bits, one scale a row (token), dense or as the list of what a selection kept.
 *
 * x = value * scale, value in -127 .. 127. Only int8 and ternary weights take them. Source: Q-Sparse (arXiv 2407.10969) eq. 5 - 7.
 */

import type { IntTensor, Tensor } from './tensor.ts';

export interface QuantizedRows {
  readonly rows: number;
  readonly cols: number;
  /** As in SparseRows; null, both: dense rows [rows, cols]. */
  readonly start: IntTensor | null;
  readonly index: IntTensor | null;
  /** [capacity of the list] or [rows, cols] */
  readonly value: Tensor<'i8'>;
  /** [rows]: max |x| / 127. */
  readonly scale: Tensor<'f32'>;
}
