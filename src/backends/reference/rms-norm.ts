/**
 * RMSNorm: y = x * rstd * w, rstd = 1 / sqrt(mean(x^2) + eps). Source: Zhang & Sennrich 2019 (arXiv 1910.07467).
 *
 * Backward, with g = dy * w: dx = rstd * (g - x * rstd^2 * mean(g * x)); dw = sum over rows of dy * x * rstd.
 */

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
