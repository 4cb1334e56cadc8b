/** The part of check-kernels.ts that is about gates and what stands behind them. */

import type { Activation, Kernels } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import type { FloatTensor, FloatType } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import {
  expectCapacity,
  expectListable,
  expectMatrix,
  expectRoom,
  expectRows,
  expectSize,
  expectThreshold,
  floatTypeOf,
  mismatch,
} from './expect-shape.ts';

export function checkFeedForward(inner: Kernels) {
  return {
    glu(gateUp, activation, out, threshold) {
      const op = 'glu';
      expectThreshold(op, threshold);
      const type = floatTypeOf(op, 'out', out);
      expectMatrix(op, 'out', out, type, rowsOf(out), columnsOf(out));
      expectMatrix(op, 'gateUp', gateUp, type, rowsOf(out), 2 * columnsOf(out));
      inner.glu(gateUp, activation, out, threshold);
    },
    gluBackward(gateUp, dOut, activation, l1, dGateUp, threshold) {
      const op = 'gluBackward';
      expectThreshold(op, threshold);
      const type = floatTypeOf(op, 'dOut', dOut);
      expectMatrix(op, 'dOut', dOut, type, rowsOf(dOut), columnsOf(dOut));
      expectMatrix(op, 'gateUp', gateUp, type, rowsOf(dOut), 2 * columnsOf(dOut));
      expectMatrix(op, 'dGateUp', dGateUp, type, rowsOf(dOut), 2 * columnsOf(dOut));
      inner.gluBackward(gateUp, dOut, activation, l1, dGateUp, threshold);
    },
    countOpenGates(gates, hiddenDim, start) {
      const op = 'countOpenGates';
      expectGates(op, gates, floatTypeOf(op, 'gates', gates), hiddenDim);
      expectListable(op, elementsOf(gates)); // the gradients of both halves may be listed
      expectSize(op, 'start', start, 'i32', rowsOf(gates) + 1);
      inner.countOpenGates(gates, hiddenDim, start);
    },
    gatherOpenGates(gates, out) {
      const op = 'gatherOpenGates';
      const type = floatTypeOf(op, 'gates', gates);
      expectGates(op, gates, type, out.cols);
      expectRows(op, 'out', out, type, rowsOf(gates), out.cols);
      inner.gatherOpenGates(gates, out);
    },
    gluRows(gate, up, activation, out) {
      const op = 'gluRows';
      const type = floatTypeOf(op, 'up', up);
      expectRelu(op, activation);
      expectRows(op, 'gate', gate, type);
      expectCapacity(op, 'up', up, type, nonZeros(gate));
      expectCapacity(op, 'out', out, type, nonZeros(gate));
      inner.gluRows(gate, up, activation, out);
    },
    gluRowsBackward(gate, up, dOut, activation, l1, dGateUp) {
      const op = 'gluRowsBackward';
      const type = floatTypeOf(op, 'up', up);
      expectRelu(op, activation);
      expectRows(op, 'gate', gate, type);
      expectSize(op, 'up', up, type, nonZeros(gate));
      expectSize(op, 'dOut', dOut, type, nonZeros(gate));
      expectRoom(op, 'dGateUp', dGateUp, type, gate.rows, 2 * gate.cols, 2 * nonZeros(gate));
      inner.gluRowsBackward(gate, up, dOut, activation, l1, dGateUp);
    },
  } satisfies Partial<Kernels>;
}

/** The gates alone, or gate | up. */
function expectGates(op: string, gates: FloatTensor, type: FloatType, hiddenDim: number): void {
  const wide = columnsOf(gates);
  expectMatrix(op, 'gates', gates, type, rowsOf(gates), wide);
  const fits = wide === hiddenDim || wide === 2 * hiddenDim;
  if (!fits) mismatch(op, 'columns of gates', `${hiddenDim} or ${2 * hiddenDim}`, wide);
}

function expectRelu(op: string, activation: Activation): void {
  if (activation === 'silu') mismatch(op, 'activation', 'relu2 or relu, whose gates close', activation);
}
