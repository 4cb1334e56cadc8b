/** The part of check-kernels.ts that is about mixtures of experts: routing, and the rows of an expert's tokens. */

import type { Kernels } from '../../backend.ts';
import { nonZeros, nonZerosAt } from '../../tensor/sparse-rows.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import {
  expectApart,
  expectIds,
  expectMatrix,
  expectRoom,
  expectRows,
  expectSize,
  floatTypeOf,
  mismatch,
} from './expect-shape.ts';

export function checkMixture(inner: Kernels) {
  return {
    routeTokens(logits, kept, chosen, logSumExp) {
      const op = 'routeTokens';
      const type = floatTypeOf(op, 'logits', logits);
      const [rows, cols] = [rowsOf(logits), columnsOf(logits)];
      expectMatrix(op, 'logits', logits, type, rows, cols);
      if (!(Number.isInteger(kept) && kept >= 1 && kept <= cols)) mismatch(op, 'kept', `1 .. ${cols}`, kept);
      expectRoom(op, 'chosen', chosen, type, rows, cols, rows * kept);
      expectSize(op, 'logSumExp', logSumExp, type, rows);
      inner.routeTokens(logits, kept, chosen, logSumExp);
    },
    routeTokensBackward(probabilities, chosen, logSumExp, dShare, balance, zScale, dLogits) {
      const op = 'routeTokensBackward';
      const type = floatTypeOf(op, 'probabilities', probabilities);
      const [rows, cols] = [rowsOf(probabilities), columnsOf(probabilities)];
      expectMatrix(op, 'probabilities', probabilities, type, rows, cols);
      expectRows(op, 'chosen', chosen, type, rows, cols);
      expectSize(op, 'logSumExp', logSumExp, type, rows);
      expectSize(op, 'dShare', dShare, type, nonZeros(chosen));
      expectSize(op, 'balance', balance, type, cols);
      expectMatrix(op, 'dLogits', dLogits, type, rows, cols);
      inner.routeTokensBackward(probabilities, chosen, logSumExp, dShare, balance, zScale, dLogits);
    },
    gatherRows(a, ids, out) {
      const op = 'gatherRows';
      const type = floatTypeOf(op, 'a.value', a.value);
      expectRows(op, 'a', a, type);
      expectSize(op, 'ids', ids, 'i32', elementsOf(ids));
      expectIds(op, 'ids', ids, 0, a.rows);
      expectRoom(op, 'out', out, type, elementsOf(ids), a.cols, nonZerosAt(a, ids));
      expectApart(op, 'out.index', out.index, 'a.index', a.index);
      expectApart(op, 'out.value', out.value, 'a.value', a.value);
      inner.gatherRows(a, ids, out);
    },
    addRowsAt(x, scale, ids, out) {
      const op = 'addRowsAt';
      const type = floatTypeOf(op, 'x', x);
      const rows = elementsOf(ids);
      expectMatrix(op, 'x', x, type, rows, columnsOf(out));
      expectSize(op, 'scale', scale, type, rows);
      expectSize(op, 'ids', ids, 'i32', rows);
      expectMatrix(op, 'out', out, type, rowsOf(out), columnsOf(out));
      expectIds(op, 'ids', ids, 0, rowsOf(out));
      expectApart(op, 'out', out, 'x', x);
      inner.addRowsAt(x, scale, ids, out);
    },
  } satisfies Partial<Kernels>;
}
