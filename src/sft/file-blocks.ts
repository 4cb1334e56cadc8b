/** A file block by block, for readers of text that need not hold all of it. */

import { closeSync, openSync, readSync } from 'node:fs';
import { messageOf, UsageError } from '../util/errors.ts';

const BLOCK_BYTES = 2 ** 20;
/** What is no text and often lies beside it: how it begins, and what to do. */
const OTHERS: readonly [name: string, begin: Buffer, advice: string][] = [
  ['gzip', Buffer.from([0x1f, 0x8b]), 'Unpack it first (gunzip -k FILE).'],
  ['zip', Buffer.from('PK\x03\x04', 'latin1'), 'Unpack it first.'],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'Unpack it first (unzstd FILE).'],
  ['Parquet', Buffer.from('PAR1'), 'Write it as JSON lines first.'],
];

/** Each block is valid until the next one is asked for. Throws UsageError where the file cannot be read, and for what is compressed. */
export function* blocksOf(path: string): Generator<Buffer> {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError('sft', `${path} ${missing ? 'does not exist' : messageOf(error)}. Check --data.`);
  }
  try {
    const buffer = Buffer.alloc(BLOCK_BYTES);
    for (let isFirst = true; ; isFirst = false) {
      const count = readBlock(file, buffer, path);
      if (count === 0) return;
      const block = buffer.subarray(0, count);
      if (isFirst) refuseOthers(block, path);
      yield block;
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

function refuseOthers(block: Buffer, path: string): void {
  for (const [name, begin, advice] of OTHERS) {
    if (!block.subarray(0, begin.length).equals(begin)) continue;
    throw new UsageError('sft', `${path}: expected JSON lines or a JSON list, found ${name}. ${advice}`);
  }
}
