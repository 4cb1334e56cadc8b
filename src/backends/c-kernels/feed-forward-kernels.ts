/** The gated feed-forward activation, dense and behind open gates only. */

import type { Activation, Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { type Call, ONE_THREAD } from './call.ts';

const ACTIVATION_CODES: Readonly<Record<Activation, number>> = { relu2: 0, relu: 1, silu: 2 };

type FeedForward = 'glu' | 'gluBackward' | 'countOpenGates' | 'gatherOpenGates' | 'gluRows' | 'gluRowsBackward';

export function feedForwardKernels(call: Call): Pick<Kernels, FeedForward> {
  return {
    glu(gateUp, activation, out, threshold = 0) {
      const rows = rowsOf(gateUp);
      const twoHidden = columnsOf(gateUp);
      const work = 6 * rows * twoHidden;
      call('glu', work, gateUp.address, out.address, rows, twoHidden / 2, ACTIVATION_CODES[activation], threshold);
    },
    gluBackward(gateUp, dOut, activation, l1, dGateUp, threshold = 0) {
      const rows = rowsOf(gateUp);
      const twoHidden = columnsOf(gateUp);
      const hidden = twoHidden / 2;
      const work = 10 * rows * twoHidden;
      const code = ACTIVATION_CODES[activation];
      call('glu_backward', work, gateUp.address, dOut.address, dGateUp.address, rows, hidden, code, l1, threshold);
    },
    countOpenGates(gates, hiddenDim, start) {
      const rows = rowsOf(gates);
      const stride = columnsOf(gates);
      call('count_open_gates', 4 * rows * hiddenDim, gates.address, start.address, rows, hiddenDim, stride);
      call('prefix_sum', ONE_THREAD, start.address, rows, 0);
    },
    gatherOpenGates(gates, { start, index, value, rows, cols }) {
      const work = 4 * rows * cols;
      const stride = columnsOf(gates);
      call('gather_open_gates', work, gates.address, start.address, index.address, value.address, rows, cols, stride);
    },
    gluRows(gate, up, activation, out) {
      const size = nonZeros(gate);
      call('glu_rows', 12 * size, gate.value.address, up.address, out.address, size, ACTIVATION_CODES[activation]);
    },
    gluRowsBackward({ start, index, value, rows, cols }, up, dOut, activation, l1, dGateUp) {
      call(
        'glu_rows_backward',
        28 * elementsOf(up),
        start.address,
        index.address,
        value.address,
        up.address,
        dOut.address,
        dGateUp.start.address,
        dGateUp.index.address,
        dGateUp.value.address,
        rows,
        cols,
        ACTIVATION_CODES[activation],
        l1,
      );
    },
  };
}
