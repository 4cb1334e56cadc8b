/** A file block by block, for readers of text that need not hold all of it. */

import { closeSync, openSync, readSync } from 'node:fs';

/** Each block is valid until the next one is asked for. Throws what the system says, for a folder when the first block is read. */
export function* fileBlocks(path: string, blockBytes: number): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(blockBytes);
    for (;;) {
      const count = readSync(file, buffer, 0, blockBytes, null);
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
}
