/** Rows of a table by id, and the sum of the gradients of each id's occurrences. */

import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf } from '../matrix-shape.ts';

export function embedding(ids: IntTensor, table: FloatTensor, out: FloatTensor): void {
  const dim = columnsOf(table);
  for (let r = 0; r < elementsOf(ids); r++) {
    for (let c = 0; c < dim; c++) out.data[r * dim + c] = table.data[ids.data[r] * dim + c];
  }
}

export function embeddingBackward(ids: IntTensor, dOut: FloatTensor, dTable: FloatTensor): void {
  const dim = columnsOf(dTable);
  // An id may occur often: the sums are f64 and rounded once.
  const sums = Float64Array.from(dTable.data);
  for (let r = 0; r < elementsOf(ids); r++) {
    for (let c = 0; c < dim; c++) sums[ids.data[r] * dim + c] += dOut.data[r * dim + c];
  }
  dTable.data.set(sums);
}
