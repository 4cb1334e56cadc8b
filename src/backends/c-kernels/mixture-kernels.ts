/** Mixture of experts: routing, rows by token, and the sum of the outputs. */

import type { Kernels } from '../../backend.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { type Call, ONE_THREAD } from './call.ts';

export function mixtureKernels(
  call: Call,
): Pick<Kernels, 'routeTokens' | 'routeTokensBackward' | 'gatherRows' | 'addRowsAt'> {
  return {
    routeTokens(logits, kept, { start, index, value, rows, cols }, logSumExp) {
      const work = (16 + 2 * kept) * rows * cols;
      const [of, to] = [logits.address, logSumExp.address];
      call('route_tokens', work, of, start.address, index.address, value.address, to, rows, cols, kept);
    },
    routeTokensBackward(
      probabilities,
      { start, index, value, rows, cols },
      logSumExp,
      dShare,
      balance,
      zScale,
      dLogits,
    ) {
      call(
        'route_tokens_backward',
        8 * rows * cols,
        probabilities.address,
        start.address,
        index.address,
        value.address,
        logSumExp.address,
        dShare.address,
        balance.address,
        dLogits.address,
        rows,
        cols,
        zScale,
      );
    },
    gatherRows({ start, index, value }, ids, out) {
      const { rows } = out;
      const to = out.start.address;
      call('gather_rows_counts', 12 * rows, start.address, ids.address, to, rows);
      call('prefix_sum', ONE_THREAD, to, rows, 0);
      const work = 16 * out.start.data[rows];
      const [outIndex, outValue] = [out.index.address, out.value.address];
      const from = start.address;
      call('gather_rows_fill', work, from, index.address, value.address, ids.address, to, outIndex, outValue, rows);
    },
    addRowsAt(x, scale, ids, out) {
      const rows = rowsOf(x);
      const cols = columnsOf(x);
      call('add_rows_at', 12 * rows * cols, x.address, scale.address, ids.address, out.address, rows, cols);
    },
  };
}
