/**
 * What flows along the tape: activations and their gradients, each a matrix [N, features] over N tokens.
 *
 * Both are held dense, as the list of their non-zeros, or both: a product takes the cheaper form (`Tape.denseForm` makes the dense one
 * where only the list is there). Lists of gradients stand behind closed ReLU gates.
 */

import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import { type FloatTensor, sizeOf, type Tensor } from '../tensor/tensor.ts';

/** At least one of the two is there. */
export interface Gradient {
  readonly dense: FloatTensor | null;
  readonly rows: SparseRows | null;
}

export class Value {
  readonly shape: readonly [number, number];
  /** [N, features], or null where only the list is kept. */
  readonly dense: FloatTensor | null;
  readonly rows: SparseRows | null;
  /** Counted non-zeros; all elements where nobody counted. */
  readonly nonZeros: number;
  /** The producer reads the gradient at the elements of `rows` only: it may come as a list of the same positions. */
  readonly gradientAtRows: boolean;
  /** Written by the consumers during the backward pass, read by the producer, null outside of it. */
  gradient: Gradient | null = null;

  constructor(
    shape: readonly [number, number],
    form: { dense?: FloatTensor | null; rows?: SparseRows | null; nonZeros?: number; gradientAtRows?: boolean },
  ) {
    this.shape = shape;
    this.dense = form.dense ?? null;
    this.rows = form.rows ?? null;
    this.gradientAtRows = form.gradientAtRows ?? false;
    this.nonZeros = form.nonZeros ?? (form.rows ? nonZeros(form.rows) : sizeOf(shape));
  }
}

/** The buffers of an activation or a gradient. */
export function buffersOf(form: { dense: FloatTensor | null; rows: SparseRows | null }): Tensor[] {
  const { dense, rows } = form;
  const list = rows ? [rows.start, rows.index, rows.value, ...(rows.blocks ? [rows.blocks.place] : [])] : [];
  return dense ? [dense, ...list] : list;
}
