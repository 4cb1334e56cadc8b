/** The checks of a cache of keys and values, and of the table that says which rows of a batch belong to which slot. */

import { KV_BLOCK, KV_DTYPES, KV_ITEM_COLUMNS, type KvItems, type KvSlots, kvShapes } from '../../tensor/kv-slots.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { sizeOf } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';
import { expectMatrix, expectSize, mismatch } from './expect-shape.ts';

/** All of a call with queries, keys and values of new tokens; the number of query heads. */
export function expectKvCall(op: string, qkv: Tensor, items: KvItems, kv: KvSlots): number {
  expectKvSlots(op, kv);
  const { nKvHeads, headDim } = kv;
  const nHeads = columnsOf(qkv) / headDim - 2 * nKvHeads;
  if (!(nHeads >= 1 && nHeads % nKvHeads === 0)) {
    mismatch(op, 'nHeads in the columns of qkv', `a multiple of nKvHeads ${nKvHeads}`, nHeads);
  }
  expectMatrix(op, 'qkv', qkv, 'f32', rowsOf(qkv), columnsOf(qkv));
  expectKvItems(op, items, rowsOf(qkv), kv);
  return nHeads;
}

function expectKvSlots(op: string, kv: KvSlots): void {
  const { type, slots, positions, nKvHeads, headDim, keys, values, keyScale, valueScale } = kv;
  if (!(slots >= 1)) mismatch(op, 'slots', '1 or more', slots);
  if (!(nKvHeads >= 1)) mismatch(op, 'nKvHeads', '1 or more', nKvHeads);
  if (!(headDim >= 1)) mismatch(op, 'headDim', '1 or more', headDim);
  if (!(positions >= KV_BLOCK && positions % KV_BLOCK === 0)) {
    mismatch(op, 'positions', `a multiple of ${KV_BLOCK}`, positions);
  }
  const shapes = kvShapes(kv);
  expectSize(op, 'keys', keys, KV_DTYPES[type], sizeOf(shapes.keys));
  expectSize(op, 'values', values, KV_DTYPES[type], sizeOf(shapes.values));
  const scaled = keyScale !== null && valueScale !== null;
  if (scaled !== (type === 'int8')) mismatch(op, 'scales', type === 'int8' ? 'some' : `none with ${type}`, keyScale);
  if (!scaled) return;
  expectSize(op, 'keyScale', keyScale, 'f32', sizeOf(shapes.scales));
  expectSize(op, 'valueScale', valueScale, 'f32', sizeOf(shapes.scales));
}

/** The items cover `rows` rows without a gap, each inside of its slot. */
function expectKvItems(op: string, items: KvItems, rows: number, { slots, positions }: KvSlots): void {
  const count = items.shape[0];
  expectMatrix(op, 'items', items, 'i32', count, KV_ITEM_COLUMNS);
  if (count === 0) mismatch(op, 'items', '1 or more', count);
  let next = 0;
  for (let at = 0; at < count * KV_ITEM_COLUMNS; at += KV_ITEM_COLUMNS) {
    const [first, size, start, slot] = [items.data[at], items.data[at + 1], items.data[at + 2], items.data[at + 3]];
    const item = at / KV_ITEM_COLUMNS;
    if (first !== next) mismatch(op, `first row of item ${item}`, String(next), first);
    if (!(size >= 1 && size <= positions)) mismatch(op, `rows of item ${item}`, `1 .. ${positions}`, size);
    if (!(start >= 0)) mismatch(op, `start of item ${item}`, '0 or more', start);
    if (!(slot >= 0 && slot < slots)) mismatch(op, `slot of item ${item}`, `0 .. ${slots - 1}`, slot);
    for (let before = KV_ITEM_COLUMNS - 1; before < at; before += KV_ITEM_COLUMNS) {
      if (items.data[before] === slot) mismatch(op, `slot of item ${item}`, 'one that no item before it has', slot);
    }
    next += size;
  }
  if (next !== rows) mismatch(op, 'rows of all items', String(rows), next);
}

/** What the rows look back on is still in the ring of a slot. */
export function expectInReach(op: string, items: KvItems, { positions }: KvSlots, window: number): void {
  if (!(Number.isInteger(window) && window >= 0)) mismatch(op, 'window', 'a whole number of at least 0', window);
  for (let at = 0; at < items.shape[0] * KV_ITEM_COLUMNS; at += KV_ITEM_COLUMNS) {
    const [rows, start] = [items.data[at + 1], items.data[at + 2]];
    const reach = window === 0 ? start + rows : Math.min(start + rows, window + rows - 1);
    if (reach > positions) mismatch(op, 'positions of a slot', `at least ${reach}`, positions);
  }
}
