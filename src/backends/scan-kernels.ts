/**
 * Debug mode: looks at every value that enters a selection or a product and stops at the first NaN, naming the op, the tensor and
 * the position, and at row lists that are not ascending or leave the matrix.
 *
 * A NaN counts as the largest magnitude and so survives every selection: found here, at the first product that reads
 * it, it points at the op that made it. Costs a pass over each input; off unless asked for.
 */

import type { Kernels, WeightInput } from '../backend.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { BackendError } from '../util/errors.ts';
import { columnsOf, elementsOf } from './matrix-shape.ts';

/** The same kernels; those that select or multiply throw BackendError for NaN and for malformed row lists in their inputs. */
export function scanKernels(kernels: Kernels): Kernels {
  return {
    ...kernels,
    matmul(a, b, out, options) {
      scanTensor('matmul', 'a', a);
      scanTensor('matmul', 'b', b);
      kernels.matmul(a, b, out, options);
    },
    sparseMatmul(a, b, out, options) {
      scanRows('sparseMatmul', 'a', a);
      scanTensor('sparseMatmul', 'b', b);
      kernels.sparseMatmul(a, b, out, options);
    },
    sampledMatmul(a, b, at, out) {
      scanTensor('sampledMatmul', 'a', a);
      scanTensor('sampledMatmul', 'b', b);
      scanPlaces('sampledMatmul', 'at', at);
      kernels.sampledMatmul(a, b, at, out);
    },
    weightMatvec(x, w, out, options) {
      scanInput('weightMatvec', x);
      kernels.weightMatvec(x, w, out, options);
    },
    weightMatmul(x, w, out, options) {
      scanInput('weightMatmul', x);
      kernels.weightMatmul(x, w, out, options);
    },
    weightDots(x, w, out, options) {
      scanInput('weightDots', x);
      if (options?.at) scanPlaces('weightDots', 'at', options.at);
      kernels.weightDots(x, w, out, options);
    },
    selectTopK(x, kept, out) {
      scanTensor('selectTopK', 'x', x);
      kernels.selectTopK(x, kept, out);
    },
    selectInput(x, norm, kept, out, quantized) {
      scanTensor('selectInput', 'x', x);
      kernels.selectInput(x, norm, kept, out, quantized);
    },
    selectBlockTopK(x, out) {
      scanTensor('selectBlockTopK', 'x', x);
      kernels.selectBlockTopK(x, out);
    },
    routeTokens(logits, kept, chosen, logSumExp) {
      scanTensor('routeTokens', 'logits', logits);
      kernels.routeTokens(logits, kept, chosen, logSumExp);
    },
    transposeRows(a, out) {
      scanRows('transposeRows', 'a', a);
      kernels.transposeRows(a, out);
    },
  };
}

/** Activations in 8 bits have no NaN but in their scale; their values were looked at when they were selected. */
function scanInput(op: string, x: WeightInput): void {
  if (!('value' in x)) scanTensor(op, 'x', x);
  else if ('scale' in x) {
    scanTensor(op, 'scale of x', x.scale);
    const { rows, cols, start, index } = x;
    if (start !== null && index !== null) scanPlaces(op, 'x', { rows, cols, start, index });
  } else scanRows(op, 'x', x);
}

function scanTensor(op: string, name: string, tensor: Tensor): void {
  const { data } = tensor;
  const size = elementsOf(tensor);
  for (let i = 0; i < size; i++) {
    if (!Number.isNaN(data[i])) continue;
    const cols = columnsOf(tensor);
    throw new BackendError(op, `NaN in ${name} at row ${Math.floor(i / cols)}, column ${i % cols}. ${WHAT_TO_DO}`);
  }
}

function scanRows(op: string, name: string, matrix: SparseRows): void {
  scanPlaces(op, name, matrix);
  const { start, index, value } = matrix;
  for (let r = 0; r < matrix.rows; r++) {
    for (let e = start.data[r]; e < start.data[r + 1]; e++) {
      if (!Number.isNaN(value.data[e])) continue;
      throw new BackendError(op, `NaN in ${name} at row ${r}, column ${index.data[e]}. ${WHAT_TO_DO}`);
    }
  }
}

/** Where the elements of a list stand, whatever they are. */
function scanPlaces(op: string, name: string, list: Pick<SparseRows, 'rows' | 'cols' | 'start' | 'index'>): void {
  const { rows, cols, start, index } = list;
  const count = start.data[rows];
  for (let r = 0; r < rows; r++) {
    let previous = -1;
    for (let e = start.data[r]; e < start.data[r + 1]; e++) {
      const column = index.data[e];
      if (column <= previous || column >= cols) {
        const expected = `expected above ${previous} and below ${cols}`;
        throw new BackendError(op, `columns of ${name} in row ${r}: ${expected}, got ${column} (element ${e}).`);
      }
      previous = column;
    }
    if (start.data[r + 1] < start.data[r] || start.data[r + 1] > count) {
      throw new BackendError(op, `row starts of ${name}: expected ascending, got ${start.data[r + 1]} after row ${r}.`);
    }
  }
}

const WHAT_TO_DO = 'Look at the op that wrote this tensor.';
