/** Selections, lists of non-zeros and what is done to them. */

import type { Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { type Call, ONE_THREAD } from './call.ts';

type Selection =
  | 'selectTopK'
  | 'selectInput'
  | 'selectBlockTopK'
  | 'countNonZeros'
  | 'gatherNonZeros'
  | 'countPositiveAt'
  | 'gatherPositiveAt'
  | 'transposeRows'
  | 'scatterRows'
  | 'gatherAt'
  | 'maskRows'
  | 'rescaleRows'
  | 'rescaleRowsBackward';

export function selectionKernels(call: Call): Pick<Kernels, Selection> {
  return {
    selectTopK(x, kept, { start, index, value, rows, cols }) {
      const work = 8 * rows * cols;
      call('select_top_k', work, x.address, start.address, index.address, value.address, rows, cols, kept);
    },
    selectInput(x, norm, kept, { start, index, value, rows, cols }, quantized) {
      call(
        'select_input',
        8 * rows * cols,
        x.address,
        norm === null ? 0 : norm.weight.address,
        norm === null ? 0 : norm.eps,
        start.address,
        index.address,
        value.address,
        quantized === null ? 0 : quantized.value.address,
        quantized === null ? 0 : quantized.scale.address,
        rows,
        cols,
        kept,
      );
    },
    selectBlockTopK(x, { start, index, value, blocks: { place, kept, size }, rows, cols }) {
      const work = 8 * rows * cols;
      const list = value.address;
      const at = place.address;
      call('select_block_top_k', work, x.address, start.address, index.address, list, at, rows, cols, kept, size);
    },
    countNonZeros(x, start, threshold = 0) {
      const rows = rowsOf(x);
      const cols = columnsOf(x);
      call('count_non_zeros', 4 * rows * cols, x.address, start.address, rows, cols, threshold);
      call('prefix_sum', ONE_THREAD, start.address, rows, 0);
    },
    gatherNonZeros(x, { start, index, value, rows, cols }, threshold = 0) {
      const work = 4 * rows * cols;
      call('gather_non_zeros', work, x.address, start.address, index.address, value.address, rows, cols, threshold);
    },
    countPositiveAt(at, x, start) {
      call('count_positive_at', 4 * nonZeros(at), at.start.address, x.address, start.address, at.rows);
      call('prefix_sum', ONE_THREAD, start.address, at.rows, 0);
    },
    gatherPositiveAt(at, x, { start, index, value }, outX) {
      const { start: atStart, index: atIndex, value: atValue, rows } = at;
      call(
        'gather_positive_at',
        8 * nonZeros(at),
        atStart.address,
        atIndex.address,
        atValue.address,
        x.address,
        start.address,
        index.address,
        value.address,
        outX.address,
        rows,
      );
    },
    transposeRows(a, out) {
      const { start, index, value, rows, cols } = a;
      const work = 8 * nonZeros(a);
      call('transpose_counts', work, start.address, index.address, out.start.address, rows, cols);
      call('prefix_sum', ONE_THREAD, out.start.address, cols, 0);
      const to = out.start.address;
      const outIndex = out.index.address;
      const outValue = out.value.address;
      call('transpose_fill', work, start.address, index.address, value.address, to, outIndex, outValue, rows, cols);
    },
    scatterRows({ start, index, value, rows, cols }, out) {
      call('scatter_rows', 4 * rows * cols, start.address, index.address, value.address, out.address, rows, cols);
    },
    gatherAt(x, first, { start, index, rows }, out) {
      const from = x.address + 4 * first;
      const work = 8 * elementsOf(out) + rows;
      call('gather_at', work, from, start.address, index.address, out.address, rows, columnsOf(x));
    },
    maskRows(x, { start, index, rows, cols }, out) {
      call('mask_rows', 8 * rows * cols, x.address, start.address, index.address, out.address, rows, cols);
    },
    rescaleRows(a, norm) {
      call('rescale_rows', 8 * nonZeros(a), a.start.address, a.value.address, norm.address, a.rows, a.cols);
    },
    rescaleRowsBackward({ start, index, value, rows, cols }, norm, gradient) {
      const work = 8 * rows * cols;
      const to = gradient.address;
      call('rescale_rows_backward', work, start.address, index.address, value.address, norm.address, to, rows, cols);
    },
  };
}
