/**
 * The lines of a file one at a time, none longer than a bound: what lies behind the bound is passed over without being kept, so that a file
 * without line ends costs no more memory than any other.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { messageOf, UsageError } from '../util/errors.ts';

export interface BoundedLine {
  /** From 1. */
  readonly number: number;
  /** Without its end; null where the line is longer than the bound. */
  readonly bytes: Buffer | null;
  /** Of the whole line. */
  readonly length: number;
}

const BLOCK_BYTES = 2 ** 20;
const NEWLINE = 0x0a;

/** Throws UsageError where the file cannot be read. */
export function* boundedLines(path: string, maxBytes: number): Generator<BoundedLine> {
  let number = 1;
  let parts: Buffer[] = [];
  let length = 0;
  const add = (piece: Buffer) => {
    length += piece.length;
    // A copy: the block is overwritten by the next one.
    if (length <= maxBytes) parts.push(Buffer.from(piece));
    else parts = [];
  };
  const finish = (): BoundedLine => {
    const line = { number, bytes: length <= maxBytes ? Buffer.concat(parts) : null, length };
    number++;
    parts = [];
    length = 0;
    return line;
  };
  for (const block of blocksOf(path)) {
    let start = 0;
    for (let end = block.indexOf(NEWLINE); end >= 0; end = block.indexOf(NEWLINE, start)) {
      add(block.subarray(start, end));
      yield finish();
      start = end + 1;
    }
    add(block.subarray(start));
  }
  if (length > 0) yield finish();
}

/** Each block is valid until the next one is asked for. */
function* blocksOf(path: string): Generator<Buffer> {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError('sft', `${path} ${missing ? 'does not exist' : messageOf(error)}. Check --data.`);
  }
  try {
    const buffer = Buffer.alloc(BLOCK_BYTES);
    for (;;) {
      const count = readBlock(file, buffer, path);
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
}

/** A folder can be opened and not read. */
function readBlock(file: number, buffer: Buffer, path: string): number {
  try {
    return readSync(file, buffer, 0, buffer.length, null);
  } catch (error) {
    throw new UsageError('sft', `${path} cannot be read: ${messageOf(error)}. Expected a file of JSON lines.`);
  }
}
