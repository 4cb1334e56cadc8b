/**
 * Exact selection of the largest magnitudes: all indices of a row in the order (|x| descending, index ascending); the first
 * `kept` of them stay. Source: Q-Sparse (arXiv 2407.10969) eq. 3.
 */

import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

export function selectTopK(x: FloatTensor, kept: number, out: SparseRows): void {
  const rows = rowsOf(x);
  const cols = columnsOf(x);
  out.start.data[0] = 0;
  for (let r = 0; r < rows; r++) {
    const row = x.data.subarray(r * cols, (r + 1) * cols);
    const byMagnitude = Array.from(row, (_, i) => i).sort((i, j) => compareMagnitudes(row[i], row[j]) || i - j);
    const chosen = byMagnitude.slice(0, kept).sort((i, j) => i - j);
    for (let e = 0; e < kept; e++) {
      out.index.data[r * kept + e] = chosen[e];
      out.value.data[r * kept + e] = row[chosen[e]];
    }
    out.start.data[r + 1] = (r + 1) * kept;
  }
}

/** Negative where |a| comes before |b|: the larger first, NaN before everything, all NaN equal, -0 equal to 0. */
function compareMagnitudes(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  const [x, y] = [Math.abs(a), Math.abs(b)];
  if (x === y) return 0;
  return x > y ? -1 : 1;
}
