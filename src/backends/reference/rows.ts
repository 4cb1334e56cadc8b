/** Lists of non-zeros: counting, gathering, transposing, writing out, masking, and the re-scale of section 2.1 of Q-Sparse. */

import { nonZeros, type SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';

/** Keeps the division defined for a row of zeros; far below the norm of any row that is not. */
const RESCALE_EPS = 1e-6;

export function countNonZeros(x: FloatTensor, start: IntTensor, threshold = 0): void {
  const cols = columnsOf(x);
  let count = 0;
  start.data[0] = 0;
  for (let r = 0; r < rowsOf(x); r++) {
    for (let c = 0; c < cols; c++) if (reaches(x.data[r * cols + c], threshold)) count++;
    start.data[r + 1] = count;
  }
}

/** Neither 0 nor below the threshold; NaN is neither. */
function reaches(value: number, threshold: number): boolean {
  return value !== 0 && !(Math.abs(value) < Math.fround(threshold));
}

export function gatherNonZeros(x: FloatTensor, out: SparseRows, threshold = 0): void {
  const cols = columnsOf(x);
  let e = 0;
  for (let r = 0; r < rowsOf(x); r++) {
    for (let c = 0; c < cols; c++) {
      const value = x.data[r * cols + c];
      if (!reaches(value, threshold)) continue;
      out.index.data[e] = c;
      out.value.data[e] = value;
      e++;
    }
  }
}

export function countPositiveAt(at: SparseRows, x: FloatTensor, start: IntTensor): void {
  let count = 0;
  start.data[0] = 0;
  for (let r = 0; r < at.rows; r++) {
    for (let e = at.start.data[r]; e < at.start.data[r + 1]; e++) if (!(x.data[e] <= 0)) count++;
    start.data[r + 1] = count;
  }
}

export function gatherPositiveAt(at: SparseRows, x: FloatTensor, out: SparseRows, outX: FloatTensor): void {
  let to = 0;
  for (let e = 0; e < nonZeros(at); e++) {
    if (x.data[e] <= 0) continue;
    out.index.data[to] = at.index.data[e];
    out.value.data[to] = at.value.data[e];
    outX.data[to] = x.data[e];
    to++;
  }
}

export function transposeRows(a: SparseRows, out: SparseRows): void {
  const count = new Array<number>(a.cols).fill(0);
  for (let e = 0; e < nonZeros(a); e++) count[a.index.data[e]]++;
  out.start.data[0] = 0;
  for (let c = 0; c < a.cols; c++) out.start.data[c + 1] = out.start.data[c] + count[c];

  // Rows of `a` are visited in order, so each column's list ascends.
  const next = Array.from(out.start.data);
  for (let r = 0; r < a.rows; r++) {
    for (let e = a.start.data[r]; e < a.start.data[r + 1]; e++) {
      const to = next[a.index.data[e]]++;
      out.index.data[to] = r;
      out.value.data[to] = a.value.data[e];
    }
  }
}

export function scatterRows(a: SparseRows, out: FloatTensor): void {
  out.data.fill(0, 0, a.rows * a.cols);
  for (let r = 0; r < a.rows; r++) {
    for (let e = a.start.data[r]; e < a.start.data[r + 1]; e++) {
      out.data[r * a.cols + a.index.data[e]] = a.value.data[e];
    }
  }
}

export function gatherAt(x: FloatTensor, first: number, at: SparseRows, out: FloatTensor): void {
  const cols = columnsOf(x);
  for (let r = 0; r < at.rows; r++) {
    for (let e = at.start.data[r]; e < at.start.data[r + 1]; e++) {
      out.data[e] = x.data[r * cols + first + at.index.data[e]];
    }
  }
}

export function maskRows(x: FloatTensor, at: SparseRows, out: FloatTensor): void {
  for (let r = 0; r < at.rows; r++) {
    const kept = new Set(at.index.data.subarray(at.start.data[r], at.start.data[r + 1]));
    for (let c = 0; c < at.cols; c++) {
      const i = r * at.cols + c;
      out.data[i] = kept.has(c) ? x.data[i] : 0;
    }
  }
}

export function rescaleRows(a: SparseRows, norm: FloatTensor): void {
  for (let r = 0; r < a.rows; r++) {
    let squares = 0;
    for (let e = a.start.data[r]; e < a.start.data[r + 1]; e++) squares += a.value.data[e] ** 2;
    const length = Math.sqrt(squares);
    norm.data[r] = length;
    for (let e = a.start.data[r]; e < a.start.data[r + 1]; e++) {
      a.value.data[e] = (a.value.data[e] / (length + RESCALE_EPS)) * Math.sqrt(a.cols);
    }
  }
}

export function gatherRows(a: SparseRows, ids: IntTensor, out: SparseRows): void {
  let e = 0;
  out.start.data[0] = 0;
  for (let r = 0; r < elementsOf(ids); r++) {
    for (let from = a.start.data[ids.data[r]]; from < a.start.data[ids.data[r] + 1]; from++, e++) {
      out.index.data[e] = a.index.data[from];
      out.value.data[e] = a.value.data[from];
    }
    out.start.data[r + 1] = e;
  }
}

/**
 * With y = x f, f = sqrt(cols) / (|x| + eps): dx = f dy - x (f / (|x| + eps)) (dy . x) / |x|, and, put in terms of y,
 * dx = f dy - y (dy . y) / (sqrt(cols) |x|). A row of zeros has y = 0: only the factor remains. A row
 * of nothing has no direction: its gradient is 0, and not dy times sqrt(cols) / eps.
 */
export function rescaleRowsBackward(a: SparseRows, norm: FloatTensor, gradient: FloatTensor): void {
  const root = Math.sqrt(a.cols);
  for (let r = 0; r < a.rows; r++) {
    const length = norm.data[r];
    const factor = a.start.data[r] === a.start.data[r + 1] ? 0 : root / (length + RESCALE_EPS);
    const row = gradient.data.subarray(r * a.cols, (r + 1) * a.cols);
    let product = 0;
    for (let e = a.start.data[r]; e < a.start.data[r + 1]; e++) product += row[a.index.data[e]] * a.value.data[e];
    const along = new Map<number, number>();
    for (let e = a.start.data[r]; e < a.start.data[r + 1]; e++) {
      along.set(a.index.data[e], length === 0 ? 0 : (a.value.data[e] * product) / (root * length));
    }
    for (let c = 0; c < a.cols; c++) row[c] = row[c] * factor - (along.get(c) ?? 0);
  }
}
