/**
 * RMSNorm: y = x * rstd * w, rstd = 1 / sqrt(mean(x^2) + eps). Source: Zhang & Sennrich 2019 (arXiv 1910.07467).
 *
 * Backward, with g = dy * w: dx = rstd * (g - x * rstd^2 * mean(g * x)); dw = sum over rows of dy * x * rstd.
 */

import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

export function rmsNorm(x: FloatTensor, weight: FloatTensor, eps: number, out: FloatTensor, rstd: FloatTensor): void {
  const dim = columnsOf(x);
  for (let r = 0; r < rowsOf(x); r++) {
    let squares = 0;
    for (let c = 0; c < dim; c++) squares += x.data[r * dim + c] ** 2;
    const scale = 1 / Math.sqrt(squares / dim + eps);
    rstd.data[r] = scale;
    for (let c = 0; c < dim; c++) out.data[r * dim + c] = x.data[r * dim + c] * scale * weight.data[c];
  }
}

export function rmsNormBackward(
  x: FloatTensor,
  weight: FloatTensor,
  rstd: FloatTensor,
  dOut: FloatTensor,
  dX: FloatTensor,
  dWeight: FloatTensor,
  options: { accumulate?: boolean } = {},
): void {
  const dim = columnsOf(x);
  const rows = rowsOf(x);

  for (let c = 0; c < dim; c++) {
    let sum = dWeight.data[c];
    for (let r = 0; r < rows; r++) sum += dOut.data[r * dim + c] * x.data[r * dim + c] * rstd.data[r];
    dWeight.data[c] = sum;
  }

  for (let r = 0; r < rows; r++) {
    const scale = rstd.data[r];
    let product = 0;
    for (let c = 0; c < dim; c++) product += dOut.data[r * dim + c] * weight.data[c] * x.data[r * dim + c];
    for (let c = 0; c < dim; c++) {
      const i = r * dim + c;
      const gradient = scale * (dOut.data[i] * weight.data[c] - (x.data[i] * scale * scale * product) / dim);
      dX.data[i] = options.accumulate ? dX.data[i] + gradient : gradient;
    }
  }
}

export function rmsNormRows(
  x: SparseRows,
  weight: FloatTensor,
  eps: number,
  out: FloatTensor,
  rstd: FloatTensor,
): void {
  const { start, index, value } = x;
  for (let r = 0; r < x.rows; r++) {
    let squares = 0;
    for (let i = start.data[r]; i < start.data[r + 1]; i++) squares += value.data[i] ** 2;
    const scale = 1 / Math.sqrt(squares / x.cols + eps);
    rstd.data[r] = scale;
    for (let i = start.data[r]; i < start.data[r + 1]; i++) {
      out.data[i] = value.data[i] * scale * weight.data[index.data[i]];
    }
  }
}

export function rmsNormRowsBackward(
  x: SparseRows,
  weight: FloatTensor,
  rstd: FloatTensor,
  dOut: FloatTensor,
  dX: FloatTensor,
  dWeight: FloatTensor,
): void {
  const { start, index, value } = x;
  const sums = new Float64Array(x.cols);
  for (let r = 0; r < x.rows; r++) {
    for (let i = start.data[r]; i < start.data[r + 1]; i++) {
      sums[index.data[i]] += dOut.data[i] * value.data[i] * rstd.data[r];
    }
  }
  for (let c = 0; c < x.cols; c++) dWeight.data[c] += sums[c];

  for (let r = 0; r < x.rows; r++) {
    const scale = rstd.data[r];
    let product = 0;
    for (let i = start.data[r]; i < start.data[r + 1]; i++) {
      product += dOut.data[i] * weight.data[index.data[i]] * value.data[i];
    }
    for (let i = start.data[r]; i < start.data[r + 1]; i++) {
      const along = (value.data[i] * scale * scale * product) / x.cols;
      dX.data[i] = scale * (dOut.data[i] * weight.data[index.data[i]] - along);
    }
  }
}
