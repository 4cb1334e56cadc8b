/**
 * The gated feed-forward: hidden = act(g) * u. Sources: GLU variants, Shazeer 2020 (arXiv 2002.05202); ReLU^2, So et al.
 * 2021 (arXiv 2109.08668).
 *
 * Backward, with dh = dOut + l1 * sign(hidden): dg = dh * act'(g) * u; du = dh * act(g). A closed ReLU gate (g <= 0) is
 * taken out before any product, so that its zeros are +0 whatever u and dOut are.
 */

import type { Activation } from '../../backend.ts';
import { nonZeros, type SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

export function glu(gateUp: FloatTensor, activation: Activation, out: FloatTensor, threshold = 0): void {
  const hidden = columnsOf(out);
  for (let r = 0; r < rowsOf(out); r++) {
    for (let c = 0; c < hidden; c++) {
      const g = gateUp.data[r * 2 * hidden + c];
      const u = gateUp.data[r * 2 * hidden + hidden + c];
      out.data[r * hidden + c] = isClosed(g, activation, threshold) ? 0 : act(g, activation) * u;
    }
  }
}

export function gluBackward(
  gateUp: FloatTensor,
  dOut: FloatTensor,
  activation: Activation,
  l1: number,
  dGateUp: FloatTensor,
  threshold = 0,
): void {
  const hidden = columnsOf(dOut);
  for (let r = 0; r < rowsOf(dOut); r++) {
    for (let c = 0; c < hidden; c++) {
      const gAt = r * 2 * hidden + c;
      const uAt = gAt + hidden;
      const [g, u] = [gateUp.data[gAt], gateUp.data[uAt]];
      if (isClosed(g, activation, threshold)) {
        dGateUp.data[gAt] = 0;
        dGateUp.data[uAt] = 0;
        continue;
      }
      const dHidden = dOut.data[r * hidden + c] + l1 * Math.sign(act(g, activation) * u);
      dGateUp.data[gAt] = dHidden * actDerivative(g, activation) * u;
      dGateUp.data[uAt] = dHidden * act(g, activation);
    }
  }
}

export function countOpenGates(gates: FloatTensor, hiddenDim: number, start: IntTensor): void {
  let count = 0;
  start.data[0] = 0;
  for (let r = 0; r < rowsOf(gates); r++) {
    for (let c = 0; c < hiddenDim; c++) if (!isClosed(gates.data[r * columnsOf(gates) + c], 'relu')) count++;
    start.data[r + 1] = count;
  }
}

export function gatherOpenGates(gates: FloatTensor, out: SparseRows): void {
  let e = 0;
  for (let r = 0; r < out.rows; r++) {
    for (let c = 0; c < out.cols; c++) {
      const g = gates.data[r * columnsOf(gates) + c];
      if (isClosed(g, 'relu')) continue;
      out.index.data[e] = c;
      out.value.data[e] = g;
      e++;
    }
  }
}

export function gluRows(gate: SparseRows, up: FloatTensor, activation: Activation, out: FloatTensor): void {
  for (let e = 0; e < nonZeros(gate); e++) out.data[e] = act(gate.value.data[e], activation) * up.data[e];
}

export function gluRowsBackward(
  gate: SparseRows,
  up: FloatTensor,
  dOut: FloatTensor,
  activation: Activation,
  l1: number,
  dGateUp: SparseRows,
): void {
  dGateUp.start.data[0] = 0;
  for (let r = 0; r < gate.rows; r++) {
    const [begin, end] = [gate.start.data[r], gate.start.data[r + 1]];
    dGateUp.start.data[r + 1] = 2 * end;
    for (let e = begin; e < end; e++) {
      const [g, u] = [gate.value.data[e], up.data[e]];
      const dHidden = dOut.data[e] + l1 * Math.sign(act(g, activation) * u);
      const toGate = begin + e; // 2 begin + (e - begin)
      const toUp = toGate + end - begin;
      dGateUp.index.data[toGate] = gate.index.data[e];
      dGateUp.index.data[toUp] = gate.cols + gate.index.data[e];
      dGateUp.value.data[toGate] = dHidden * actDerivative(g, activation) * u;
      dGateUp.value.data[toUp] = dHidden * act(g, activation);
    }
  }
}

/** NaN is not closed: it must be seen in the output. */
function isClosed(g: number, activation: Activation, threshold = 0): boolean {
  if (activation !== 'silu' && g <= 0) return true;
  return Math.abs(act(g, activation)) < Math.fround(threshold);
}

function act(g: number, activation: Activation): number {
  if (activation === 'relu2') return g * g;
  return activation === 'relu' ? g : g * sigmoid(g);
}

function actDerivative(g: number, activation: Activation): number {
  if (activation === 'relu2') return 2 * g;
  return activation === 'relu' ? 1 : sigmoid(g) * (1 + g * (1 - sigmoid(g)));
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
