/**
 * What one kernel call has to do, from its arguments: operations, and bytes of operands. One entry for each kernel.
 *
 * - flops: additions and multiplications of products and attention that are really done; zeros that are skipped are not
 *   counted. Kernels bound by the memory count none.
 * - denseFlops: the same product with nothing skipped. Over the same time it is the dense-equivalent rate.
 * - bytes: every operand read once and every output written once (twice where it is added to), of a list its non-zeros. What
 *   a kernel reads again, or finds in a cache, is not in it.
 *
 * Lists count what they hold after the call: an output list is then filled.
 */

import type { AttentionShape, ColumnRange, Kernels, MatmulOptions, WeightInput } from '../backend.ts';
import { KV_ITEM_COLUMNS, type KvItems, type KvSlots } from '../tensor/kv-slots.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import { BYTES_PER_ELEMENT, type IntTensor, type Tensor } from '../tensor/tensor.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import type { KernelName } from './kernel-names.ts';
import { columnsOf, elementsOf, rowsOf } from './matrix-shape.ts';

export interface KernelWork {
  readonly flops: number;
  readonly denseFlops: number;
  readonly bytes: number;
}

type Operand = Tensor | SparseRows;
type WorkTable = { readonly [K in KernelName]: (...args: Parameters<Kernels[K]>) => KernelWork };

/** A kernel without an entry does not compile. */
const WORK: WorkTable = {
  matmul: (a, b, out, options) =>
    product(elementsOf(a) * widthOf(out, options), bytesOf(a) + productBytes(b, out, options)),
  sparseMatmul: (a, b, out, options) =>
    listProduct(a, widthOf(out, options), bytesOf(a) + productBytes(b, out, options)),
  sampledMatmul: (a, b, at, out) => listProduct(at, columnsOf(a), positionBytes(at) + bytesOf(a, b, out)),

  weightMatvec: (x, w, out, options) =>
    weightProduct(x, w, elementsOfInput(x) * w.rowBytes, [x, ...written(out, options)]),
  weightMatmul: (x, w, out, options) => weightProduct(x, w, w.rows * w.rowBytes, [x, ...written(out, options)]),
  weightDots: (x, w, out, options) => {
    const dots = options?.at ? nonZeros(options.at) : elementsOf(out);
    return product(dots * w.cols, Math.min(dots, w.rows) * w.rowBytes + inputBytes(x) + dots * sizeOf(out));
  },
  weightRows: (ids, w, out) => moved(bytesOf(ids) + elementsOf(ids) * w.rowBytes + bytesOf(out)),
  quantizeRows: (x, out) => moved(inputBytes(x) + inputBytes(out)),

  selectTopK: (x, _kept, out) => moved(bytesOf(x, out)),
  selectInput: (x, norm, _kept, out, quantized) =>
    moved(
      bytesOf(x, out) + (norm ? bytesOf(norm.weight) : 0) + (quantized ? nonZeros(out) + bytesOf(quantized.scale) : 0),
    ),
  selectBlockTopK: (x, out) => moved(bytesOf(x, out) + nonZeros(out)),
  countNonZeros: (x, start) => moved(bytesOf(x, start)),
  gatherNonZeros: (x, out) => moved(bytesOf(x, out)),
  countPositiveAt: (at, x, start) => moved(nonZeros(at) * sizeOf(x) + bytesOf(at.start, start)),
  gatherPositiveAt: (at, x, out) => moved(bytesOf(at, out) + (nonZeros(at) + nonZeros(out)) * sizeOf(x)),
  transposeRows: (a, out) => moved(bytesOf(a, out)),
  scatterRows: (a, out) => moved(bytesOf(a, out)),
  gatherAt: (_x, _first, at, out) => moved(positionBytes(at) + bytesOf(out, out)),
  maskRows: (x, at, out) => moved(bytesOf(x, at, out)),
  rescaleRows: (a, norm) => moved(bytesOf(a, norm) + nonZeros(a) * sizeOf(a.value)),
  fakeQuantizeRows: (x, out) => moved(bytesOf(x) + ('value' in x ? nonZeros(x) : elementsOf(x)) * sizeOf(out)),
  ternarize: (w, { count }, _scale, out) => moved(rowsOf(w) * count * (sizeOf(w) + sizeOf(out))),
  rescaleRowsBackward: (a, norm, gradient) => moved(bytesOf(a, norm, gradient, gradient)),

  rmsNorm: (x, weight, _eps, out, rstd) => moved(bytesOf(x, weight, out, rstd)),
  rmsNormBackward: (x, weight, rstd, dOut, dX, dWeight, options) =>
    moved(bytesOf(x, weight, rstd, dOut, ...written(dX, options), dWeight, dWeight)),
  rmsNormRows: (x, weight, _eps, _out, rstd) => moved(bytesOf(x, weight, rstd) + nonZeros(x) * sizeOf(weight)),
  rmsNormRowsBackward: (x, weight, rstd, _dOut, _dX, dWeight) =>
    moved(bytesOf(x, weight, rstd, dWeight, dWeight) + 2 * nonZeros(x) * sizeOf(weight)),
  rope: (x, positions, _cos, _sin, { nRotatedHeads, headDim }) =>
    moved(2 * rowsOf(x) * nRotatedHeads * headDim * sizeOf(x) + bytesOf(positions)),
  attention: (qkv, out, logSumExp, shape, firstKeys) =>
    product(scoreProducts(shape, firstKeys), bytesOf(qkv, out, logSumExp)),
  // Twice the forward, as is usual: making the scores again is not counted as work done.
  attentionBackward: (qkv, out, logSumExp, dOut, dQkv, shape, firstKeys) =>
    product(2 * scoreProducts(shape, firstKeys), bytesOf(qkv, out, logSumExp, dOut, dQkv)),
  storeKv: (qkv, _items, kv) => moved(rowsOf(qkv) * (2 * kv.nKvHeads * kv.headDim * sizeOf(qkv) + storedBytes(kv))),
  attentionCached: (_qkv, items, kv, window, out) => {
    const { keysSeen, positions } = reachOf(items, window);
    return product(2 * keysSeen * columnsOf(out), positions * storedBytes(kv) + bytesOf(out, out));
  },

  glu: (gateUp, _activation, out) => moved(bytesOf(gateUp, out)),
  gluBackward: (gateUp, dOut, _activation, _l1, dGateUp) => moved(bytesOf(gateUp, dOut, dGateUp)),
  countOpenGates: (gates, hiddenDim, start) => moved(rowsOf(gates) * hiddenDim * sizeOf(gates) + bytesOf(start)),
  gatherOpenGates: (gates, out) => moved(out.rows * out.cols * sizeOf(gates) + bytesOf(out)),
  gluRows: (gate, up) => moved(nonZeros(gate) * (sizeOf(gate.value) + 2 * sizeOf(up))),
  gluRowsBackward: (gate, up, dOut, _activation, _l1, dGateUp) => moved(bytesOf(gate, up, dOut, dGateUp)),

  routeTokens: (logits, _kept, chosen, logSumExp) => moved(bytesOf(logits, logits, chosen, logSumExp)),
  routeTokensBackward: (probabilities, chosen, logSumExp, dShare, balance, _zScale, dLogits) =>
    moved(bytesOf(probabilities, chosen, logSumExp, dShare, balance, dLogits)),
  gatherRows: (_a, ids, out) => moved(bytesOf(ids, out, out)),
  addRowsAt: (x, scale, ids) => moved(bytesOf(x, x, x, scale, ids)),

  embedding: (ids, _table, out) => moved(bytesOf(ids, out, out)),
  embeddingBackward: (ids, dOut, dTable) =>
    moved(bytesOf(ids, dOut) + 2 * Math.min(elementsOf(dOut), elementsOf(dTable)) * sizeOf(dTable)),
  softmaxCrossEntropy: (logits, targets, losses, scale) =>
    moved(bytesOf(targets, losses, ...written(logits, { accumulate: scale !== null }))),
  softmaxDivergence: (logits, teacher, targets, divergences, { scale }) =>
    moved(bytesOf(logits, targets, divergences, ...written(teacher, { accumulate: scale !== null }))),
  pruneByChance: (x) => moved(2 * bytesOf(x)),
  adamw: (p, g, m, v) => moved(2 * bytesOf(p, g, m, v)),
  adamw8: (p, g, m, v) => moved(2 * bytesOf(p, g, m.codes, m.scale, v.codes, v.scale)),
  sumSquares: (x, partial, _first, count) => moved(rowsOf(x) * count * sizeOf(x) + bytesOf(partial)),
  sumAbs: (x, partial, _first, count) => moved(rowsOf(x) * count * sizeOf(x) + bytesOf(partial)),
  add: (a, b, out) => moved(bytesOf(a, b, out)),
  transpose: (x, out, options) =>
    moved(rowsOf(x) * widthOf(x, options) * sizeOf(x) + bytesOf(...written(out, options))),
  scale: (x) => moved(bytesOf(x, x)),
  copy: (from, to) => moved(bytesOf(from, to)),
  fill: (x) => moved(bytesOf(x)),
};

/** The work of a call that was made with `args`. */
export function kernelWork(kernel: KernelName, args: readonly unknown[]): KernelWork {
  return (WORK[kernel] as (...args: readonly unknown[]) => KernelWork)(...args);
}

/** `multiplyAdds` of a product that skips nothing. */
function product(multiplyAdds: number, bytes: number): KernelWork {
  return { flops: 2 * multiplyAdds, denseFlops: 2 * multiplyAdds, bytes };
}

/** For each element of a list as many multiply-adds as the matrix beside it has columns. */
function listProduct(list: SparseRows, columns: number, bytes: number): KernelWork {
  return { flops: 2 * nonZeros(list) * columns, denseFlops: 2 * list.rows * list.cols * columns, bytes };
}

/** A product with stored weights, of which `weightBytes` are read. */
function weightProduct(
  x: WeightInput,
  w: WeightMatrix,
  weightBytes: number,
  others: (WeightInput | Tensor)[],
): KernelWork {
  const dense = 2 * rowsOfInput(x, w.rows) * w.rows * w.cols;
  const bytes = others.reduce((sum, operand) => sum + inputBytes(operand), weightBytes);
  return { flops: 2 * elementsOfInput(x) * w.cols, denseFlops: dense, bytes };
}

function rowsOfInput(x: WeightInput, cols: number): number {
  return 'value' in x ? x.rows : elementsOf(x) / cols;
}

/** What is multiplied: the elements of a list, or all. */
function elementsOfInput(x: WeightInput): number {
  if (!('value' in x)) return elementsOf(x);
  return x.start === null ? x.rows * x.cols : x.start.data[x.rows];
}

function inputBytes(x: WeightInput | Tensor): number {
  if (!('value' in x)) return bytesOf(x);
  const list = x.start === null ? 0 : (x.rows + 1 + elementsOfInput(x)) * BYTES_PER_ELEMENT.i32;
  return list + elementsOfInput(x) * sizeOf(x.value) + ('scale' in x ? bytesOf(x.scale) : 0);
}

/** No arithmetic worth the name. */
function moved(bytes: number): KernelWork {
  return { flops: 0, denseFlops: 0, bytes };
}

/** Multiply-adds of causal attention: scores and values, over the keys that each token sees. */
function scoreProducts({ batch, seqLen, nHeads, headDim }: AttentionShape, firstKeys?: IntTensor | null): number {
  const all = batch * seqLen * ((seqLen + 1) / 2);
  const seen = firstKeys ? firstKeys.data.reduce((sum, first) => sum - first, all) : all;
  return seen * 2 * nHeads * headDim;
}

/** Keys and values of one position, with their scales. */
function storedBytes({ type, keys, nKvHeads, headDim }: KvSlots): number {
  const scale = type === 'int8' ? BYTES_PER_ELEMENT.f32 : 0;
  return 2 * nKvHeads * (headDim * sizeOf(keys) + scale);
}

/** The keys that all rows meet together, and the positions that are read at least once. */
function reachOf({ data, shape }: KvItems, window: number): { keysSeen: number; positions: number } {
  const reach = { keysSeen: 0, positions: 0 };
  for (let at = 0; at < shape[0] * KV_ITEM_COLUMNS; at += KV_ITEM_COLUMNS) {
    const [rows, start] = [data[at + 1], data[at + 2]];
    for (let position = start; position < start + rows; position++) {
      reach.keysSeen += window === 0 ? position + 1 : Math.min(position + 1, window);
    }
    reach.positions += window === 0 ? start + rows : Math.min(start + rows, window + rows - 1);
  }
  return reach;
}

/** An output once, or twice where it is read as well. */
function written(out: Tensor, options: { accumulate?: boolean } | undefined): Tensor[] {
  return options?.accumulate ? [out, out] : [out];
}

/** Columns that take part. */
function widthOf(x: Tensor, options: { columns?: ColumnRange } | undefined): number {
  return options?.columns?.count ?? columnsOf(x);
}

/** The second operand and the output of a product, or the columns of both that take part. */
function productBytes(b: Tensor, out: Tensor, options: MatmulOptions | undefined): number {
  if (options?.columns === undefined) return bytesOf(b, ...written(out, options));
  const rows = rowsOf(b) + rowsOf(out) * (options.accumulate ? 2 : 1);
  return rows * options.columns.count * sizeOf(b);
}

/** A list of which only the positions are read. */
function positionBytes(list: SparseRows): number {
  return listBytes(list) - nonZeros(list) * sizeOf(list.value);
}

function bytesOf(...operands: readonly Operand[]): number {
  let bytes = 0;
  for (const operand of operands)
    bytes += 'rows' in operand ? listBytes(operand) : elementsOf(operand) * sizeOf(operand);
  return bytes;
}

function listBytes(list: SparseRows): number {
  return (list.rows + 1) * sizeOf(list.start) + nonZeros(list) * (sizeOf(list.index) + sizeOf(list.value));
}

function sizeOf({ dtype }: Tensor): number {
  return BYTES_PER_ELEMENT[dtype];
}
