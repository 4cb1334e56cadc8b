/**
 * The two conventions of rotary positions: which two features of a head are turned together.
 *
 * llama2.c, and with it GGUF files of the llama family, turns neighbours (2 i, 2 i + 1); transformers and this project turn (i, i + headDim / 2). The
 * same model has its q and k rows in another order within each head.
 */

import type { ColumnOfRow } from './source-matrix.ts';

/** Where feature `row` of heads in neighbours' order lies in ours. */
export function fromNeighbours(headDim: number): ColumnOfRow {
  return (row) => {
    const inHead = row % headDim;
    return row - inHead + (inHead >> 1) + (inHead % 2) * (headDim / 2);
  };
}
