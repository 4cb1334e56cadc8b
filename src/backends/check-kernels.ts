/**
 * Shape, dtype and capacity checks around the kernel table of any backend: a wrong call is a ShapeError that names the op,
 * never a wrong number or a write outside of memory.
 *
 * Always on: a call costs a few comparisons, none of them per element (ids and targets are looked at, one per token).
 * What the values are is the business of `scan-kernels.ts`, in debug mode. Inside a kernel, shapes are trusted.
 */

import type { Activation, AttentionShape, ColumnRange, Kernels } from '../backend.ts';
import { momentBlocks } from '../tensor/block-moments.ts';
import { nonZeros } from '../tensor/sparse-rows.ts';
import type { FloatTensor, FloatType, IntTensor, Tensor } from '../tensor/tensor.ts';
import { checkMixture } from './check-mixture.ts';
import { checkQuantizers } from './check-quantizers.ts';
import { checkSelection } from './check-selection.ts';
import { checkWeights } from './check-weights.ts';
import { expectInReach, expectKvCall } from './expect-kv.ts';
import {
  expectApart,
  expectCapacity,
  expectIds,
  expectInner,
  expectListable,
  expectMatrix,
  expectRange,
  expectRoom,
  expectRows,
  expectSize,
  floatTypeOf,
  mismatch,
} from './expect-shape.ts';
import { columnsOf, elementsOf, rowsOf } from './matrix-shape.ts';
import { scanKernels } from './scan-kernels.ts';

export interface CheckOptions {
  /** Look at every input of the selection and of the products too, and throw at the first NaN. */
  debug?: boolean;
}

/**
 * The same kernels behind checks. A kernel throws ShapeError for shapes, dtypes, capacities or ids that do not fit together,
 * BackendError for f64 tensors in the memory of a C backend and, with `debug`, for NaN (see `scanKernels`).
 */
export function checkKernels(kernels: Kernels, options: CheckOptions = {}): Kernels {
  const inner = options.debug ? scanKernels(kernels) : kernels;
  return {
    ...checkProducts(inner),
    ...checkWeights(inner),
    ...checkQuantizers(inner),
    ...checkSelection(inner),
    ...checkRows(inner),
    ...checkNormAndPosition(inner),
    ...checkAttention(inner),
    ...checkFeedForward(inner),
    ...checkMixture(inner),
    ...checkTraining(inner),
    ...checkElementwise(inner),
  };
}

function checkProducts(inner: Kernels) {
  return {
    matmul(a, b, out, options) {
      const op = 'matmul';
      const type = floatTypeOf(op, 'a', a);
      const m = options?.transposeA ? columnsOf(a) : rowsOf(a);
      const k = options?.transposeA ? rowsOf(a) : columnsOf(a);
      const n = options?.transposeB ? rowsOf(b) : columnsOf(b);
      expectColumns(op, n, options?.columns, options?.transposeB);
      expectMatrix(op, 'a', a, type, rowsOf(a), columnsOf(a));
      expectMatrix(op, 'b', b, type, options?.transposeB ? n : k, options?.transposeB ? k : n);
      expectMatrix(op, 'out', out, type, m, n);
      expectInner(op, k);
      expectApart(op, 'out', out, 'a', a);
      expectApart(op, 'out', out, 'b', b);
      inner.matmul(a, b, out, options);
    },
    sparseMatmul(a, b, out, options) {
      const op = 'sparseMatmul';
      const type = floatTypeOf(op, 'b', b);
      const n = options?.transposeB ? rowsOf(b) : columnsOf(b);
      expectColumns(op, n, options?.columns, options?.transposeB);
      expectRows(op, 'a', a, type);
      expectMatrix(op, 'b', b, type, options?.transposeB ? n : a.cols, options?.transposeB ? a.cols : n);
      expectMatrix(op, 'out', out, type, a.rows, n);
      expectInner(op, a.cols);
      expectApart(op, 'out', out, 'a.value', a.value);
      expectApart(op, 'out', out, 'b', b);
      inner.sparseMatmul(a, b, out, options);
    },
    sampledMatmul(a, b, at, out) {
      const op = 'sampledMatmul';
      const type = floatTypeOf(op, 'a', a);
      expectRows(op, 'at', at, floatTypeOf(op, 'at.value', at.value));
      expectMatrix(op, 'a', a, type, at.rows, columnsOf(a));
      expectMatrix(op, 'b', b, type, at.cols, columnsOf(a));
      expectSize(op, 'out', out, type, nonZeros(at));
      expectInner(op, columnsOf(a));
      inner.sampledMatmul(a, b, at, out);
    },
  } satisfies Partial<Kernels>;
}

function expectColumns(op: string, width: number, columns: ColumnRange | undefined, transposeB = false): void {
  if (columns === undefined) return;
  const { first, count } = columns;
  const inside = first >= 0 && count >= 1 && first + count <= width;
  if (!inside) mismatch(op, 'columns', `a range of 0 .. ${width}`, `${first} .. ${first + count}`);
  if (transposeB) mismatch(op, 'columns', 'b not transposed', 'transposeB');
}

/** Of a magnitude; undefined and 0 are none. */
function expectThreshold(op: string, threshold = 0): void {
  if (!(threshold >= 0)) mismatch(op, 'threshold', '0 or more', threshold);
}

function checkRows(inner: Kernels) {
  return {
    countNonZeros(x, start, threshold) {
      const op = 'countNonZeros';
      expectThreshold(op, threshold);
      const type = floatTypeOf(op, 'x', x);
      expectListable(op, elementsOf(x)); // all of them may be other than 0
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectSize(op, 'start', start, 'i32', rowsOf(x) + 1);
      inner.countNonZeros(x, start, threshold);
    },
    gatherNonZeros(x, out, threshold) {
      const op = 'gatherNonZeros';
      expectThreshold(op, threshold);
      const type = floatTypeOf(op, 'x', x);
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectRows(op, 'out', out, type, rowsOf(x), columnsOf(x));
      inner.gatherNonZeros(x, out, threshold);
    },
    countPositiveAt(at, x, start) {
      const op = 'countPositiveAt';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, type);
      expectCapacity(op, 'x', x, type, nonZeros(at));
      expectSize(op, 'start', start, 'i32', at.rows + 1);
      inner.countPositiveAt(at, x, start);
    },
    gatherPositiveAt(at, x, out, outX) {
      const op = 'gatherPositiveAt';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, type);
      expectCapacity(op, 'x', x, type, nonZeros(at));
      expectRows(op, 'out', out, type, at.rows, at.cols);
      expectCapacity(op, 'outX', outX, type, nonZeros(out));
      inner.gatherPositiveAt(at, x, out, outX);
    },
    transposeRows(a, out) {
      const op = 'transposeRows';
      const type = floatTypeOf(op, 'a.value', a.value);
      expectRows(op, 'a', a, type);
      expectRoom(op, 'out', out, type, a.cols, a.rows, nonZeros(a));
      expectApart(op, 'out.value', out.value, 'a.value', a.value);
      inner.transposeRows(a, out);
    },
    scatterRows(a, out) {
      const op = 'scatterRows';
      const type = floatTypeOf(op, 'out', out);
      expectRows(op, 'a', a, type);
      expectMatrix(op, 'out', out, type, a.rows, a.cols);
      inner.scatterRows(a, out);
    },
    gatherAt(x, first, at, out) {
      const op = 'gatherAt';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, floatTypeOf(op, 'at.value', at.value));
      expectMatrix(op, 'x', x, type, at.rows, columnsOf(x));
      expectColumns(op, columnsOf(x), { first, count: at.cols });
      expectSize(op, 'out', out, type, nonZeros(at));
      inner.gatherAt(x, first, at, out);
    },
    maskRows(x, at, out) {
      const op = 'maskRows';
      const type = floatTypeOf(op, 'x', x);
      expectRows(op, 'at', at, type);
      expectMatrix(op, 'x', x, type, at.rows, at.cols);
      expectMatrix(op, 'out', out, type, at.rows, at.cols);
      inner.maskRows(x, at, out);
    },
    rescaleRows(a, norm) {
      const op = 'rescaleRows';
      const type = floatTypeOf(op, 'norm', norm);
      expectRows(op, 'a', a, type);
      expectSize(op, 'norm', norm, type, a.rows);
      inner.rescaleRows(a, norm);
    },
    rescaleRowsBackward(a, norm, gradient) {
      const op = 'rescaleRowsBackward';
      const type = floatTypeOf(op, 'gradient', gradient);
      expectRows(op, 'a', a, type);
      expectSize(op, 'norm', norm, type, a.rows);
      expectMatrix(op, 'gradient', gradient, type, a.rows, a.cols);
      inner.rescaleRowsBackward(a, norm, gradient);
    },
  } satisfies Partial<Kernels>;
}

function checkNormAndPosition(inner: Kernels) {
  return {
    rmsNorm(x, weight, eps, out, rstd) {
      const op = 'rmsNorm';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, type, rows, cols);
      expectSize(op, 'weight', weight, type, cols);
      expectMatrix(op, 'out', out, type, rows, cols);
      expectSize(op, 'rstd', rstd, type, rows);
      inner.rmsNorm(x, weight, eps, out, rstd);
    },
    rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options) {
      const op = 'rmsNormBackward';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      expectMatrix(op, 'x', x, type, rows, cols);
      expectSize(op, 'weight', weight, type, cols);
      expectSize(op, 'rstd', rstd, type, rows);
      expectMatrix(op, 'dOut', dOut, type, rows, cols);
      expectMatrix(op, 'dX', dX, type, rows, cols);
      expectSize(op, 'dWeight', dWeight, type, cols);
      inner.rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options);
    },
    rmsNormRows(x, weight, eps, out, rstd) {
      const op = 'rmsNormRows';
      const type = floatTypeOf(op, 'weight', weight);
      expectRows(op, 'x', x, type);
      expectSize(op, 'weight', weight, type, x.cols);
      expectCapacity(op, 'out', out, type, nonZeros(x));
      expectSize(op, 'rstd', rstd, type, x.rows);
      inner.rmsNormRows(x, weight, eps, out, rstd);
    },
    rmsNormRowsBackward(x, weight, rstd, dOut, dX, dWeight) {
      const op = 'rmsNormRowsBackward';
      const type = floatTypeOf(op, 'weight', weight);
      expectRows(op, 'x', x, type);
      expectSize(op, 'weight', weight, type, x.cols);
      expectSize(op, 'rstd', rstd, type, x.rows);
      expectCapacity(op, 'dOut', dOut, type, nonZeros(x));
      expectCapacity(op, 'dX', dX, type, nonZeros(x));
      expectSize(op, 'dWeight', dWeight, type, x.cols);
      inner.rmsNormRowsBackward(x, weight, rstd, dOut, dX, dWeight);
    },
    rope(x, positions, cos, sin, shape) {
      const op = 'rope';
      const type = floatTypeOf(op, 'x', x);
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      const { nRotatedHeads, headDim } = shape;
      expectMatrix(op, 'x', x, type, rows, cols);
      expectSize(op, 'positions', positions, 'i32', rows);
      if (!(headDim > 0 && headDim % 2 === 0)) mismatch(op, 'headDim', 'an even number', headDim);
      const rotated = nRotatedHeads * headDim;
      if (rotated > cols) mismatch(op, 'rotated columns', `at most ${cols}`, rotated);
      expectMatrix(op, 'cos', cos, type, rowsOf(cos), headDim / 2);
      expectMatrix(op, 'sin', sin, type, rowsOf(cos), headDim / 2);
      expectIds(op, 'positions', positions, 0, rowsOf(cos));
      inner.rope(x, positions, cos, sin, shape);
    },
  } satisfies Partial<Kernels>;
}

function expectHeads(op: string, shape: { nHeads: number; nKvHeads: number; headDim: number }): void {
  const { nHeads, nKvHeads, headDim } = shape;
  if (!(headDim >= 1)) mismatch(op, 'headDim', '1 or more', headDim);
  if (!(nKvHeads >= 1)) mismatch(op, 'nKvHeads', '1 or more', nKvHeads);
  if (!(nHeads >= 1 && nHeads % nKvHeads === 0)) mismatch(op, 'nHeads', `a multiple of nKvHeads ${nKvHeads}`, nHeads);
}

function expectAttention(
  op: string,
  { qkv, out, logSumExp }: { qkv: Tensor; out: Tensor; logSumExp: Tensor },
  shape: AttentionShape,
  firstKeys: IntTensor | null,
) {
  const { batch, seqLen, nHeads, nKvHeads, headDim } = shape;
  const type = floatTypeOf(op, 'qkv', qkv);
  const rows = batch * seqLen;
  expectHeads(op, shape);
  expectMatrix(op, 'qkv', qkv, type, rows, (nHeads + 2 * nKvHeads) * headDim);
  expectMatrix(op, 'out', out, type, rows, nHeads * headDim);
  expectMatrix(op, 'logSumExp', logSumExp, type, rows, nHeads);
  if (firstKeys !== null) expectFirstKeys(op, firstKeys, rows, seqLen);
  return type;
}

/** A token that sees not even itself would have no softmax. */
function expectFirstKeys(op: string, firstKeys: IntTensor, rows: number, seqLen: number): void {
  expectSize(op, 'firstKeys', firstKeys, 'i32', rows);
  for (let row = 0; row < rows; row++) {
    const [first, index] = [firstKeys.data[row], row % seqLen];
    if (!(first >= 0 && first <= index)) mismatch(op, `firstKeys[${row}]`, `0 .. ${index}`, first);
  }
}

function checkAttention(inner: Kernels) {
  return {
    attention(qkv, out, logSumExp, shape, firstKeys = null) {
      expectAttention('attention', { qkv, out, logSumExp }, shape, firstKeys);
      expectApart('attention', 'out', out, 'qkv', qkv);
      inner.attention(qkv, out, logSumExp, shape, firstKeys);
    },
    attentionBackward(qkv, out, logSumExp, dOut, dQkv, shape, firstKeys = null) {
      const op = 'attentionBackward';
      const type = expectAttention(op, { qkv, out, logSumExp }, shape, firstKeys);
      expectMatrix(op, 'dOut', dOut, type, rowsOf(out), columnsOf(out));
      expectMatrix(op, 'dQkv', dQkv, type, rowsOf(qkv), columnsOf(qkv));
      expectApart(op, 'dQkv', dQkv, 'qkv', qkv);
      inner.attentionBackward(qkv, out, logSumExp, dOut, dQkv, shape, firstKeys);
    },
    storeKv(qkv, items, kv) {
      expectKvCall('storeKv', qkv, items, kv);
      inner.storeKv(qkv, items, kv);
    },
    attentionCached(qkv, items, kv, window, out) {
      const op = 'attentionCached';
      const nHeads = expectKvCall(op, qkv, items, kv);
      expectInReach(op, items, kv, window);
      expectMatrix(op, 'out', out, 'f32', rowsOf(qkv), nHeads * kv.headDim);
      expectApart(op, 'out', out, 'qkv', qkv);
      inner.attentionCached(qkv, items, kv, window, out);
    },
  } satisfies Partial<Kernels>;
}

function checkFeedForward(inner: Kernels) {
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

function checkTraining(inner: Kernels) {
  return {
    embedding(ids, table, out) {
      const op = 'embedding';
      const type = floatTypeOf(op, 'table', table);
      expectMatrix(op, 'table', table, type, rowsOf(table), columnsOf(table));
      expectSize(op, 'ids', ids, 'i32', elementsOf(ids));
      expectMatrix(op, 'out', out, type, elementsOf(ids), columnsOf(table));
      expectIds(op, 'ids', ids, 0, rowsOf(table));
      inner.embedding(ids, table, out);
    },
    embeddingBackward(ids, dOut, dTable) {
      const op = 'embeddingBackward';
      const type = floatTypeOf(op, 'dTable', dTable);
      expectMatrix(op, 'dTable', dTable, type, rowsOf(dTable), columnsOf(dTable));
      expectSize(op, 'ids', ids, 'i32', elementsOf(ids));
      expectMatrix(op, 'dOut', dOut, type, elementsOf(ids), columnsOf(dTable));
      expectIds(op, 'ids', ids, 0, rowsOf(dTable));
      inner.embeddingBackward(ids, dOut, dTable);
    },
    softmaxCrossEntropy(logits, targets, losses, scale) {
      const op = 'softmaxCrossEntropy';
      const type = floatTypeOf(op, 'logits', logits);
      expectMatrix(op, 'logits', logits, type, rowsOf(logits), columnsOf(logits));
      expectSize(op, 'targets', targets, 'i32', rowsOf(logits));
      expectSize(op, 'losses', losses, type, rowsOf(logits));
      expectIds(op, 'targets', targets, -1, columnsOf(logits));
      inner.softmaxCrossEntropy(logits, targets, losses, scale);
    },
    softmaxDivergence(logits, teacher, targets, divergences, options) {
      const op = 'softmaxDivergence';
      const type = floatTypeOf(op, 'logits', logits);
      expectMatrix(op, 'logits', logits, type, rowsOf(logits), columnsOf(logits));
      expectMatrix(op, 'teacher', teacher, type, rowsOf(logits), columnsOf(logits));
      expectSize(op, 'targets', targets, 'i32', rowsOf(logits));
      expectSize(op, 'divergences', divergences, type, rowsOf(logits));
      expectIds(op, 'targets', targets, -1, columnsOf(logits));
      if (!(options.temperature > 0)) mismatch(op, 'temperature', 'above 0', options.temperature);
      inner.softmaxDivergence(logits, teacher, targets, divergences, options);
    },
    adamw(p, g, m, v, options) {
      const op = 'adamw';
      const type = floatTypeOf(op, 'p', p);
      const size = elementsOf(p);
      expectSize(op, 'p', p, type, size);
      expectSize(op, 'g', g, type, size);
      expectSize(op, 'm', m, type, size);
      expectSize(op, 'v', v, type, size);
      // The bias corrections of step 0 divide by 0.
      if (!(options.step >= 1)) mismatch(op, 'step', '1 or more', options.step);
      inner.adamw(p, g, m, v, options);
    },
    adamw8(p, g, m, v, options) {
      const op = 'adamw8';
      const type = floatTypeOf(op, 'p', p);
      const size = elementsOf(p);
      expectSize(op, 'p', p, type, size);
      expectSize(op, 'g', g, type, size);
      for (const [name, { codes, scale }] of Object.entries({ m, v })) {
        expectSize(op, `${name}.codes`, codes, 'u8', size);
        expectSize(op, `${name}.scale`, scale, 'f32', momentBlocks(size));
      }
      if (!(options.step >= 1)) mismatch(op, 'step', '1 or more', options.step);
      inner.adamw8(p, g, m, v, options);
    },
  } satisfies Partial<Kernels>;
}

function checkElementwise(inner: Kernels) {
  return {
    sumSquares(x, partial, first, count) {
      const op = 'sumSquares';
      const type = floatTypeOf(op, 'x', x);
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectSize(op, 'partial', partial, 'f64', rowsOf(x));
      expectRange(op, { first, count }, columnsOf(x));
      inner.sumSquares(x, partial, first, count);
    },
    sumAbs(x, partial, first, count) {
      const op = 'sumAbs';
      const type = floatTypeOf(op, 'x', x);
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectSize(op, 'partial', partial, 'f64', rowsOf(x));
      expectRange(op, { first, count }, columnsOf(x));
      inner.sumAbs(x, partial, first, count);
    },
    add(a, b, out) {
      const type = floatTypeOf('add', 'a', a);
      expectSize('add', 'a', a, type, elementsOf(a));
      expectSize('add', 'b', b, type, elementsOf(a));
      expectSize('add', 'out', out, type, elementsOf(a));
      inner.add(a, b, out);
    },
    transpose(x, out, options) {
      const op = 'transpose';
      const type = floatTypeOf(op, 'x', x);
      const { count } = options?.columns ?? { count: columnsOf(x) };
      expectColumns(op, columnsOf(x), options?.columns);
      expectMatrix(op, 'x', x, type, rowsOf(x), columnsOf(x));
      expectMatrix(op, 'out', out, type, count, rowsOf(x));
      expectApart(op, 'out', out, 'x', x);
      inner.transpose(x, out, options);
    },
    scale(x, factor) {
      expectSize('scale', 'x', x, floatTypeOf('scale', 'x', x), elementsOf(x));
      inner.scale(x, factor);
    },
    copy(from, to) {
      expectSize('copy', 'from', from, from.dtype, elementsOf(from));
      expectSize('copy', 'to', to, from.dtype, elementsOf(from));
      inner.copy(from, to);
    },
    fill(x, value) {
      expectSize('fill', 'x', x, floatTypeOf('fill', 'x', x), elementsOf(x));
      inner.fill(x, value);
    },
  } satisfies Partial<Kernels>;
}
