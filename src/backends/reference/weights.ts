/** Products with a WeightMatrix, element by element. Integer sums are exact. */

import type { WeightInput } from '../../backend.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { storedWeights, type WeightMatrix, weightScaleAt } from '../../tensor/weight-matrix.ts';
import { elementsOf } from '../matrix-shape.ts';

export function weightMatvec(
  x: WeightInput,
  w: WeightMatrix,
  out: Tensor<'f32'>,
  options: { accumulate?: boolean } = {},
): void {
  const { start, index, value, scale, rows } = inputOf(x, w.rows);
  const stored = storedWeights(w);
  for (let token = 0; token < rows; token++) {
    const begin = start ? start[token] : token * w.rows;
    const end = start ? start[token + 1] : begin + w.rows;
    for (let c = 0; c < w.cols; c++) {
      let sum = 0;
      for (let e = begin; e < end; e++) {
        const row = index ? index[e] : e - begin;
        sum += value[e] * stored(row, c) * weightScaleAt(w, row, c);
      }
      const before = options.accumulate ? out.data[token * w.cols + c] : 0;
      out.data[token * w.cols + c] = before + sum * (scale ? scale[token] : 1);
    }
  }
}

export const weightMatmul = weightMatvec;

export function weightDots(
  x: WeightInput,
  w: WeightMatrix,
  out: Tensor<'f32'>,
  options: { at?: SparseRows } = {},
): void {
  const { value, scale, rows } = inputOf(x, w.cols);
  const stored = storedWeights(w);
  const dot = (token: number, row: number) => {
    let sum = 0;
    for (let i = 0; i < w.cols; i++) sum += value[token * w.cols + i] * stored(row, i);
    return sum * weightScaleAt(w, row, 0) * (scale ? scale[token] : 1);
  };
  for (let token = 0; token < rows; token++) {
    if (options.at) {
      const { start, index } = options.at;
      for (let e = start.data[token]; e < start.data[token + 1]; e++) out.data[e] = dot(token, index.data[e]);
    } else {
      for (let row = 0; row < w.rows; row++) out.data[token * w.rows + row] = dot(token, row);
    }
  }
}

/** The values and the list of an input in one form; a dense one has no list. */
function inputOf(x: WeightInput, cols: number) {
  if (!('value' in x)) return { start: null, index: null, value: x.data, scale: null, rows: elementsOf(x) / cols };
  const [start, index] = [x.start?.data ?? null, x.index?.data ?? null];
  return { start, index, value: x.value.data, scale: 'scale' in x ? x.scale.data : null, rows: x.rows };
}
