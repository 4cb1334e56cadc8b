/**
 * What flows along the tape: activations and their gradients, each a matrix [N, features] over N tokens.
 *
 * An activation is held dense, as the list of its non-zeros, or both: the products behind it take the cheaper form.
 * A gradient is always dense, because some product needs all of it; the list is there as well where exact zeros are worth
 * skipping (behind closed ReLU gates).
 */

import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import { type FloatTensor, sizeOf, type Tensor } from '../tensor/tensor.ts';

export interface Gradient {
  readonly dense: FloatTensor;
  readonly rows: SparseRows | null;
}

export class Value {
  readonly shape: readonly [number, number];
  /** [N, features], or null where only the list is kept. */
  readonly dense: FloatTensor | null;
  readonly rows: SparseRows | null;
  /** Counted non-zeros; all elements where nobody counted. */
  readonly nonZeros: number;
  /** Written by the consumers during the backward pass, read by the producer, null outside of it. */
  gradient: Gradient | null = null;

  constructor(
    shape: readonly [number, number],
    form: { dense?: FloatTensor | null; rows?: SparseRows | null; nonZeros?: number },
  ) {
    this.shape = shape;
    this.dense = form.dense ?? null;
    this.rows = form.rows ?? null;
    this.nonZeros = form.nonZeros ?? (form.rows ? nonZeros(form.rows) : sizeOf(shape));
  }
}

/** The buffers of an activation or a gradient. */
export function buffersOf(form: { dense: FloatTensor | null; rows: SparseRows | null }): Tensor[] {
  const { dense, rows } = form;
  return [...(dense ? [dense] : []), ...(rows ? [rows.start, rows.index, rows.value] : [])];
}
