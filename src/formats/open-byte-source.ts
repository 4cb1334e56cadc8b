/** A file of the system as a ByteSource; a page has Blobs instead. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { FormatError, messageOf } from '../util/errors.ts';
import type { ByteSource } from './byte-source.ts';

/** Opens a file; `where` begins the messages of its errors. Throws FormatError. */
export function openByteSource(path: string, where: string): ByteSource {
  const fail = (error: unknown): never => {
    if (error instanceof FormatError) throw error;
    throw new FormatError(where, `cannot read ${path}: ${messageOf(error)}.`, path, { cause: error });
  };
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    return fail(error);
  }
  const read = (position: number, into: Uint8Array): void => {
    try {
      readAll(file, position, into, path, where);
    } catch (error) {
      fail(error);
    }
  };
  try {
    return { path, bytes: fstatSync(file).size, read, close: () => closeSync(file) };
  } catch (error) {
    closeSync(file);
    return fail(error);
  }
}

/** One call may move less than asked (Linux stops at 2 GiB). */
function readAll(file: number, position: number, into: Uint8Array, path: string, where: string): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(file, into, done, Math.min(into.length - done, 2 ** 30), position + done);
    if (count === 0) {
      const expected = `${into.length - done} more bytes`;
      throw new FormatError(where, `${path}: ends at byte ${position + done}: expected ${expected}.`, path);
    }
    done += count;
  }
}
