/**
 * KvSlots: the keys and values of one layer, for a fixed number of sequences (slots) of a fixed number of positions.
 *
 * Position p of a slot lies at place p % positions, so that a slot is a ring where attention looks back over a window only. Each slot
 * and key/value head is one run of memory, laid out for the kernel that streams it (kernels/kv_cache.c):
 * - keys [slots, nKvHeads, positions / 64, headDim, 64]: 64 positions side by side, so that one query meets a vector of keys at once and
 *   no sum runs across a vector;
 * - values [slots, nKvHeads, positions, padded]: row after row, headDim padded to whole vectors.
 *
 * Types: f32; f16 (its bits, rounded to nearest, ties to even); int8, a byte * the scale of its position and head, scale = max |x| / 127.
 */

import { f16Value } from './f16.ts';
import type { DType, IntTensor, Tensor } from './tensor.ts';

export const KV_TYPES = ['f32', 'f16', 'int8'] as const;
export type KvType = (typeof KV_TYPES)[number];

/** What an element of each type is stored as. */
export const KV_DTYPES = { f32: 'f32', f16: 'u16', int8: 'i8' } as const satisfies Record<KvType, DType>;

/** Positions whose keys lie side by side: four of the widest vectors. `positions` of KvSlots is a multiple. */
export const KV_BLOCK = 64;

/** Two of the widest vectors. */
const VALUE_STEP = 32;

export interface KvShape {
  readonly slots: number;
  readonly positions: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

export interface KvSlots extends KvShape {
  readonly type: KvType;
  readonly keys: Tensor;
  readonly values: Tensor;
  /** [slots, nKvHeads, positions] of int8; null otherwise. */
  readonly keyScale: Tensor<'f32'> | null;
  readonly valueScale: Tensor<'f32'> | null;
}

/**
 * Which rows of a batch belong to which slot: [items, 4] of first row, rows, position of the first row, slot. The rows of one item follow
 * the first, the items cover the batch from row 0 on without a gap, and no slot occurs twice.
 */
export type KvItems = IntTensor;
export const KV_ITEM_COLUMNS = 4;

/** `positions` or a few more. */
export function wholeKvBlocks(positions: number): number {
  return Math.ceil(positions / KV_BLOCK) * KV_BLOCK;
}

/** Features of a value with its padding. */
function paddedValueDim(headDim: number): number {
  return Math.ceil(headDim / VALUE_STEP) * VALUE_STEP;
}

/** The shapes of keys, values and scales. */
export function kvShapes({ slots, positions, nKvHeads, headDim }: KvShape) {
  return {
    keys: [slots, nKvHeads, positions / KV_BLOCK, headDim, KV_BLOCK],
    values: [slots, nKvHeads, positions, paddedValueDim(headDim)],
    scales: [slots, nKvHeads, positions],
  };
}

/** Where a feature of the key at a place of a slot's head lies in `keys`. */
export function keyAt({ positions, nKvHeads, headDim }: KvShape, slot: number, head: number, place: number, d: number) {
  const block = Math.floor(place / KV_BLOCK);
  return ((slot * nKvHeads + head) * positions + block * KV_BLOCK) * headDim + d * KV_BLOCK + (place % KV_BLOCK);
}

/** The same in `values`. */
export function valueAt(
  { positions, nKvHeads, headDim }: KvShape,
  slot: number,
  head: number,
  place: number,
  d: number,
) {
  return ((slot * nKvHeads + head) * positions + place) * paddedValueDim(headDim) + d;
}

/** The same in the scales. */
export function scaleAt({ positions, nKvHeads }: KvShape, slot: number, head: number, place: number) {
  return (slot * nKvHeads + head) * positions + place;
}

/** A stored element as a number: for oracles, one at a time. */
export function storedElement(kv: KvSlots, tensor: Tensor, index: number, scale: number): number {
  if (kv.type === 'f16') return f16Value(tensor.data[index]);
  return kv.type === 'int8' ? tensor.data[index] * scale : tensor.data[index];
}
