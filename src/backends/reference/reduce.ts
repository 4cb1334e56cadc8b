/** Sums by row, and the element-by-element kernels. */

import type { ColumnRange } from '../../backend.ts';
import type { FloatTensor, Tensor } from '../../tensor/tensor.ts';
import { sumOfMagnitudes } from '../../tensor/ternary.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';

export function sumSquares(x: FloatTensor, partial: Tensor<'f64'>, first: number, count: number): void {
  const cols = columnsOf(x);
  for (let r = 0; r < rowsOf(x); r++) {
    let sum = 0;
    for (let c = first; c < first + count; c++) sum += x.data[r * cols + c] ** 2;
    partial.data[r] = sum;
  }
}

export function sumAbs(x: FloatTensor, partial: Tensor<'f64'>, first: number, count: number): void {
  const cols = columnsOf(x);
  for (let r = 0; r < rowsOf(x); r++) partial.data[r] = sumOfMagnitudes(x.data, r * cols + first, count);
}

export function add(a: FloatTensor, b: FloatTensor, out: FloatTensor): void {
  for (let i = 0; i < elementsOf(out); i++) out.data[i] = a.data[i] + b.data[i];
}

export function transpose(
  x: FloatTensor,
  out: FloatTensor,
  options: { columns?: ColumnRange; accumulate?: boolean } = {},
): void {
  const [rows, cols] = [rowsOf(x), columnsOf(x)];
  const { first, count } = options.columns ?? { first: 0, count: cols };
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < count; c++) {
      const value = x.data[r * cols + first + c];
      out.data[c * rows + r] = options.accumulate ? out.data[c * rows + r] + value : value;
    }
  }
}

export function scale(x: FloatTensor, factor: number): void {
  for (let i = 0; i < elementsOf(x); i++) x.data[i] *= factor;
}

export function copy(from: Tensor, to: Tensor): void {
  for (let i = 0; i < elementsOf(from); i++) to.data[i] = from.data[i];
}

export function fill(x: FloatTensor, value: number): void {
  x.data.fill(value, 0, elementsOf(x));
}
