/**
 * The records of a file of conversations, one at a time: its lines, or the elements where the whole of it is one JSON list. None is longer than a bound: what lies behind the bound is
 * passed over without being kept, so that a file without line ends costs no more memory than any other.
 */

import { blocksOf } from './data-blocks.ts';
import { beginsList, listElements } from './list-elements.ts';
import { RecordBytes, type SourceRecord } from './source-record.ts';

const NEWLINE = 0x0a;

/** Throws UsageError where the file cannot be read, FormatError where a list has no end or something behind it. */
export function* recordsOf(path: string, maxBytes: number): Generator<SourceRecord> {
  const blocks = blocksOf(path);
  const { value: first, done } = blocks.next();
  if (done) return;
  const all = chain(first, blocks);
  yield* beginsList(first) ? listElements(all, maxBytes, path) : lines(all, maxBytes);
}

function* lines(blocks: Iterable<Buffer>, maxBytes: number): Generator<SourceRecord> {
  const record = new RecordBytes(maxBytes);
  let line = 1;
  for (const block of blocks) {
    let start = 0;
    for (let end = block.indexOf(NEWLINE); end >= 0; end = block.indexOf(NEWLINE, start)) {
      record.add(block.subarray(start, end));
      yield { line: line++, ...record.take() };
      start = end + 1;
    }
    record.add(block.subarray(start));
  }
  if (record.length > 0) yield { line, ...record.take() };
}

function* chain(first: Buffer, rest: Generator<Buffer>): Generator<Buffer> {
  yield first;
  yield* rest;
}
