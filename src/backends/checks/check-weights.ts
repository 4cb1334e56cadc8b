/** The part of check-kernels.ts that is about weights as inference stores them. */

import type { Kernels, WeightInput } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type WeightMatrix, weightRowBytes } from '../../tensor/weight-matrix.ts';
import { elementsOf, rowsOf } from '../matrix-shape.ts';
import {
  expectApart,
  expectCapacity,
  expectIds,
  expectInner,
  expectMatrix,
  expectRows,
  expectSize,
  floatTypeOf,
  mismatch,
} from './expect-shape.ts';

export function checkWeights(inner: Kernels) {
  const expectProduct = (op: string, x: WeightInput, w: WeightMatrix, out: Tensor) => {
    expectWeights(op, w, 'cols');
    const rows = expectWeightInput(op, x, w, w.rows);
    expectMatrix(op, 'out', out, 'f32', rows, w.cols);
    expectInner(op, w.rows);
    expectApart(op, 'out', out, 'x', 'value' in x ? x.value : x);
  };
  return {
    weightMatvec(x, w, out, options) {
      expectProduct('weightMatvec', x, w, out);
      inner.weightMatvec(x, w, out, options);
    },
    weightMatmul(x, w, out, options) {
      expectProduct('weightMatmul', x, w, out);
      inner.weightMatmul(x, w, out, options);
    },
    weightDots(x, w, out, options) {
      const op = 'weightDots';
      expectWeights(op, w, 'rows');
      const rows = expectWeightInput(op, x, w, w.cols);
      if ('start' in x && x.start !== null) mismatch(op, 'x', 'dense rows', 'a list');
      const at = options?.at;
      if (at) {
        expectRows(op, 'at', at, floatTypeOf(op, 'at.value', at.value), rows, w.rows);
        expectCapacity(op, 'out', out, 'f32', nonZeros(at));
      } else {
        expectMatrix(op, 'out', out, 'f32', rows, w.rows);
      }
      expectApart(op, 'out', out, 'x', 'value' in x ? x.value : x);
      inner.weightDots(x, w, out, options);
    },
    weightRows(ids, w, out) {
      const op = 'weightRows';
      expectWeights(op, w, 'rows');
      expectSize(op, 'ids', ids, 'i32', elementsOf(ids));
      expectMatrix(op, 'out', out, 'f32', elementsOf(ids), w.cols);
      expectIds(op, 'ids', ids, 0, w.rows);
      inner.weightRows(ids, w, out);
    },
  } satisfies Partial<Kernels>;
}

/** Products of bytes are added up in 32 bits, and the kernels have scratch memory for as many. */
const MOST_SUMMED = 2 ** 17;

function expectWeights(op: string, w: WeightMatrix, axis: WeightMatrix['scaleAxis']): void {
  const rowBytes = weightRowBytes(w.dtype, w.cols);
  if (w.rowBytes < rowBytes || w.rowBytes % 4 !== 0) {
    mismatch(op, 'bytes of a row of w', `at least ${rowBytes}, a multiple of 4`, w.rowBytes);
  }
  expectCapacity(op, 'w', w.data, 'u8', (w.rows - 1) * w.rowBytes + rowBytes);
  const scaled = w.dtype === 'int8' || w.dtype === 'ternary';
  if (scaled !== (w.scale !== null)) mismatch(op, 'scales of w', scaled ? 'some' : `none with ${w.dtype}`, w.scale);
  if (w.scale === null) return;
  const inner = axis === 'cols' ? w.rows : w.cols;
  if (inner > MOST_SUMMED) mismatch(op, `inputs of ${w.dtype} weights`, `at most ${MOST_SUMMED}`, inner);
  if (w.scaleAxis !== axis) mismatch(op, 'axis of the scales of w', axis, w.scaleAxis);
  if (axis === 'cols' && !(w.groupRows >= 1)) mismatch(op, 'rows of a group of w', '1 or more', w.groupRows);
  const count = axis === 'rows' ? w.rows : Math.ceil(w.rows / w.groupRows) * w.cols;
  expectCapacity(op, 'scales of w', w.scale, 'f32', count);
}

/** An input of `cols` features in the dtype that the weights take; its rows. */
function expectWeightInput(op: string, x: WeightInput, w: WeightMatrix, cols: number): number {
  const quantized = 'scale' in x;
  if (quantized !== (w.scale !== null)) {
    mismatch(op, `x beside ${w.dtype} weights`, w.scale ? '8-bit rows' : 'f32', quantized ? '8-bit rows' : 'f32');
  }
  if (!('value' in x)) {
    expectMatrix(op, 'x', x, 'f32', rowsOf(x), cols);
    return rowsOf(x);
  }
  if (!quantized) {
    expectRows(op, 'x', x, 'f32', x.rows, cols);
    return x.rows;
  }
  if (x.cols !== cols) mismatch(op, 'columns of x', String(cols), x.cols);
  if ((x.start === null) !== (x.index === null)) mismatch(op, 'x', 'start and index, or neither', 'one of them');
  const count = x.start === null ? x.rows * x.cols : x.start.data[x.rows];
  if (x.start !== null && x.index !== null) {
    expectCapacity(op, 'x.start', x.start, 'i32', x.rows + 1);
    expectCapacity(op, 'x.index', x.index, 'i32', count);
    if (x.start.data[0] !== 0) mismatch(op, 'first row start of x', '0', x.start.data[0]);
  }
  expectCapacity(op, 'x.value', x.value, 'i8', count);
  expectCapacity(op, 'x.scale', x.scale, 'f32', x.rows);
  return x.rows;
}
