/** A new file that is written from its beginning to its end, piece by piece, with errors of one line. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { FormatError, messageOf } from '../util/errors.ts';

export interface SequentialFile {
  /** Bytes written so far. */
  readonly bytes: number;
  /** Throws FormatError where the disk is full or the file cannot be written. */
  append(piece: Uint8Array): void;
  close(): void;
}

/** Starts a file (not atomically: see atomic-write.ts). `where` names the format in errors. Throws FormatError. */
export function createSequentialFile(path: string, where: string): SequentialFile {
  const file = attempt(path, where, () => openSync(path, 'w'));
  let bytes = 0;
  return {
    get bytes() {
      return bytes;
    },
    append(piece) {
      // One call may move less than asked (Linux stops at 2 GiB).
      for (let done = 0; done < piece.length; ) {
        done += attempt(path, where, () => writeSync(file, piece, done, piece.length - done));
      }
      bytes += piece.length;
    },
    close: () => closeSync(file),
  };
}

function attempt<T>(path: string, where: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new FormatError(where, `cannot write ${path}: ${messageOf(error)}.`, path, { cause: error });
  }
}
