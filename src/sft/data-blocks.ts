/** The blocks of a file of --data, and what is said where it cannot be read or is no text. */

import { fileBlocks } from '../train/file-blocks.ts';
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
  const blocks = fileBlocks(path, BLOCK_BYTES);
  try {
    for (let isFirst = true; ; isFirst = false) {
      const { value: block, done } = nextBlock(blocks, path);
      if (done) return;
      if (isFirst) refuseOthers(block, path);
      yield block;
    }
  } finally {
    blocks.return(undefined);
  }
}

function nextBlock(blocks: Generator<Buffer, void>, path: string): IteratorResult<Buffer, void> {
  try {
    return blocks.next();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? 'does not exist' : `cannot be read: ${messageOf(error)}`;
    throw new UsageError('sft', `${path} ${what}. Expected a file of JSON lines or a JSON list: check --data.`);
  }
}

function refuseOthers(block: Buffer, path: string): void {
  for (const [name, begin, advice] of OTHERS) {
    if (!block.subarray(0, begin.length).equals(begin)) continue;
    throw new UsageError('sft', `${path}: expected JSON lines or a JSON list, found ${name}. ${advice}`);
  }
}
