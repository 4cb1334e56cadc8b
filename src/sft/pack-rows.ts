/**
 * Several examples in a row of the context: which go together.
 *
 * In random order each example goes into the first of a few open rows that has room; where none has, the fullest is closed and a new one opened.
 * So rows are nearly full, and what stands together in one is chance and not length. A pure function of lengths, context and seed.
 */

import { shuffled } from '../util/shuffled.ts';

/** More fill rows better and slow the search down; a row waits for at most so many others. */
const OPEN_ROWS = 64;

interface OpenRow {
  examples: number[];
  room: number;
}

/** Rows of indices into `lengths`, of which none is above `seqLen`. Every index stands in one row. */
export function packRows(lengths: readonly number[], seqLen: number, seed: number): number[][] {
  const rows: number[][] = [];
  let open: OpenRow[] = [];
  for (const example of shuffled(lengths.length, seed)) {
    let row = open.find(({ room }) => room >= lengths[example]);
    if (row === undefined) {
      if (open.length === OPEN_ROWS) {
        const fullest = open.reduce((best, next) => (next.room < best.room ? next : best));
        open = open.filter((other) => other !== fullest);
      }
      row = { examples: [], room: seqLen };
      rows.push(row.examples);
      open.push(row);
    }
    row.examples.push(example);
    row.room -= lengths[example];
  }
  return rows;
}
