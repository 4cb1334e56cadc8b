/**
 * Where the tokens of a batch stand in the matrix of rows that goes through the model: items that keep the same features next to each
 * other, so that one product serves them, and for each row its id, its position, its slot and whether its logits are wanted.
 */

import { KV_ITEM_COLUMNS, type KvItems } from '../tensor/kv-slots.ts';
import type { IntTensor } from '../tensor/tensor.ts';
import type { EngineSequence, KeptTable } from './engine-sequence.ts';
import type { BatchItem } from './token-model.ts';
import type { Workspace } from './workspace.ts';

/** An item whose sequence is one of the engine's. */
export interface EngineItem extends BatchItem {
  readonly sequence: EngineSequence;
}

/** Rows first .. end - 1 keep as many features at every point. */
export interface RowGroup {
  readonly first: number;
  end: number;
  readonly kept: KeptTable;
}

export interface PlacedBatch {
  /** Tokens of all items. */
  readonly rows: number;
  /** Of each item, in the order of the batch. */
  readonly firstRows: readonly number[];
  /** First row, rows, position, slot of each item. */
  readonly items: KvItems;
  readonly groups: readonly RowGroup[];
  /** Rows whose logits are wanted, in the order of the batch. */
  readonly wanted: IntTensor;
  /** All rows are wanted, in their own order. */
  readonly wantsAll: boolean;
}

/** Rows of logits that an item wants. */
export function logitsRows({ logits, ids }: BatchItem): number {
  if (logits === 'none') return 0;
  return logits === 'last' ? 1 : ids.length;
}

/** Writes ids, positions, items and wanted rows into the workspace. */
export function placeBatch(batch: readonly EngineItem[], workspace: Workspace): PlacedBatch {
  const rows = batch.reduce((sum, { ids }) => sum + ids.length, 0);
  const all = workspace.rows(0, rows);
  const items = workspace.items(batch.length);
  const firstRows = new Map<EngineItem, number>();
  const groups: RowGroup[] = [];
  let row = 0;
  for (const [place, item] of byKept(batch).entries()) {
    const { sequence, ids } = item;
    firstRows.set(item, row);
    items.data.set([row, ids.length, sequence.length, sequence.slot], place * KV_ITEM_COLUMNS);
    for (let i = 0; i < ids.length; i++) {
      all.ids.data[row + i] = ids[i];
      all.positions.data[row + i] = sequence.length + i;
    }
    const last = groups.at(-1);
    if (last?.kept === sequence.kept) last.end += ids.length;
    else groups.push({ first: row, end: row + ids.length, kept: sequence.kept });
    row += ids.length;
  }
  const firstRowOf = (item: EngineItem) => firstRows.get(item) ?? 0;
  return { rows, firstRows: batch.map(firstRowOf), items, groups, ...placeWanted(batch, rows, firstRows, workspace) };
}

/** Items with one table of kept features behind each other, in the order in which the tables first occur. */
function byKept(batch: readonly EngineItem[]): readonly EngineItem[] {
  const tables = new Set(batch.map(({ sequence }) => sequence.kept));
  if (tables.size === 1) return batch;
  return [...tables].flatMap((kept) => batch.filter(({ sequence }) => sequence.kept === kept));
}

function placeWanted(
  batch: readonly EngineItem[],
  rows: number,
  firstRows: ReadonlyMap<EngineItem, number>,
  workspace: Workspace,
): Pick<PlacedBatch, 'wanted' | 'wantsAll'> {
  const wanted = workspace.wanted(batch.reduce((sum, item) => sum + logitsRows(item), 0));
  let count = 0;
  let inOrder = true;
  for (const item of batch) {
    const end = firstRows.get(item)! + item.ids.length;
    for (let row = end - logitsRows(item); row < end; row++) {
      if (row !== count) inOrder = false;
      wanted.data[count++] = row;
    }
  }
  return { wanted, wantsAll: inOrder && count === rows };
}
