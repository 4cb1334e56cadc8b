/**
 * Keys and values of earlier tokens: storing them in their type, and causal attention over them, one query at a time.
 * out_i = sum over the keys j that query i sees of softmax(q_i . k_j / sqrt(headDim))_j v_j; sums in f64 over what is stored.
 */

import { f16Bits } from '../../tensor/f16.ts';
import {
  KV_ITEM_COLUMNS,
  type KvItems,
  type KvSlots,
  keyAt,
  scaleAt,
  storedElement,
  valueAt,
} from '../../tensor/kv-slots.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

interface Item {
  first: number;
  rows: number;
  start: number;
  slot: number;
}

export function storeKv(qkv: Tensor<'f32'>, items: KvItems, kv: KvSlots): void {
  const { nKvHeads, headDim, positions } = kv;
  const width = columnsOf(qkv);
  const [keyColumn, valueColumn] = [width - 2 * nKvHeads * headDim, width - nKvHeads * headDim];
  for (const { first, rows, start, slot } of itemsOf(items)) {
    for (let i = 0; i < rows; i++) {
      const place = (start + i) % positions;
      for (let head = 0; head < nKvHeads; head++) {
        const vectorAt = (column: number) => {
          const from = (first + i) * width + column + head * headDim;
          return qkv.data.subarray(from, from + headDim);
        };
        const at = scaleAt(kv, slot, head, place);
        const key = narrow(kv, vectorAt(keyColumn), kv.keyScale, at);
        const value = narrow(kv, vectorAt(valueColumn), kv.valueScale, at);
        for (let d = 0; d < headDim; d++) {
          kv.keys.data[keyAt(kv, slot, head, place, d)] = key[d];
          kv.values.data[valueAt(kv, slot, head, place, d)] = value[d];
        }
      }
    }
  }
}

export function attentionCached(
  qkv: Tensor<'f32'>,
  items: KvItems,
  kv: KvSlots,
  window: number,
  out: Tensor<'f32'>,
): void {
  const { nKvHeads, headDim, positions } = kv;
  const width = columnsOf(qkv);
  const nHeads = width / headDim - 2 * nKvHeads;
  const group = nHeads / nKvHeads;
  for (const { first, rows, start, slot } of itemsOf(items)) {
    const reach = window === 0 ? 0 : Math.max(0, start - window + 1);
    const places = Array.from({ length: start + rows - reach }, (_, j) => (reach + j) % positions);
    for (let head = 0; head < nKvHeads; head++) {
      const keys = places.map((place) => storedVector(kv, kv.keys, kv.keyScale, keyAt, slot, head, place));
      const values = places.map((place) => storedVector(kv, kv.values, kv.valueScale, valueAt, slot, head, place));
      for (let i = 0; i < rows; i++) {
        const seen = start + i + 1 - reach;
        const oldest = window === 0 ? 0 : Math.max(0, seen - window);
        for (let h = head * group; h < (head + 1) * group; h++) {
          const from = (first + i) * width + h * headDim;
          const q = qkv.data.subarray(from, from + headDim);
          const attended = attend(q, keys.slice(oldest, seen), values.slice(oldest, seen));
          out.data.set(attended, ((first + i) * nHeads + h) * headDim);
        }
      }
    }
  }
}

function itemsOf(items: KvItems): Item[] {
  const { data } = items;
  return Array.from({ length: rowsOf(items) }, (_, item) => {
    const at = item * KV_ITEM_COLUMNS;
    return { first: data[at], rows: data[at + 1], start: data[at + 2], slot: data[at + 3] };
  });
}

/** The stored elements of one vector; the scale of 8 bits goes to its place. */
function narrow(kv: KvSlots, x: Float32Array, scale: Tensor<'f32'> | null, at: number): ArrayLike<number> {
  if (kv.type === 'f32') return x;
  if (kv.type === 'f16') return Array.from(x, f16Bits);
  const largest = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  scale!.data[at] = largest / 127;
  // In f32 as the C kernels compute it: a factor with another last bit would round some values to another integer.
  const factor = largest === 0 ? 0 : Math.fround(127 / largest);
  return Array.from(x, (value) => roundHalfToEven(Math.fround(value * factor)));
}

function roundHalfToEven(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** A key or a value as numbers. */
function storedVector(
  kv: KvSlots,
  tensor: Tensor,
  scales: Tensor | null,
  at: typeof keyAt,
  slot: number,
  head: number,
  place: number,
): Float64Array {
  const scale = scales?.data[scaleAt(kv, slot, head, place)] ?? 1;
  return Float64Array.from({ length: kv.headDim }, (_, d) =>
    storedElement(kv, tensor, at(kv, slot, head, place, d), scale),
  );
}

function attend(q: Float32Array, keys: readonly Float64Array[], values: readonly Float64Array[]): Float64Array {
  const scores = keys.map((key) => dot(q, key) / Math.sqrt(q.length));
  const largest = scores.reduce((a, b) => Math.max(a, b));
  // The largest score has exp(0) = 1: over one key the result is exactly its value.
  const exponentials = scores.map((score) => Math.exp(score - largest));
  const total = exponentials.reduce((a, b) => a + b);
  return Float64Array.from(q, (_, d) => exponentials.reduce((sum, p, j) => sum + p * values[j][d], 0) / total);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}
