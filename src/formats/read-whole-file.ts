/** readWholeFile: a file of somebody else, read into memory whole: only a regular file, and only up to a size that such a file may have. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { FormatError, messageOf } from '../util/errors.ts';

/** The bytes of a file, or null where there is none of that name. Throws FormatError, which begins with `where`, for more than `mostBytes` too. */
export function readWholeFile(path: string, mostBytes: number, where: string): Uint8Array | null {
  const fail = (what: string, cause?: unknown): never => {
    throw new FormatError(where, `${path}: ${what}`, path, { cause });
  };
  let file: number;
  try {
    // A pipe would be waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    return fail(`cannot be read: ${messageOf(error)}.`, error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) fail('expected a file, found something else.');
    if (stat.size > mostBytes) fail(`expected at most ${mostBytes} bytes, found ${stat.size}.`);
    const bytes = new Uint8Array(stat.size);
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(file, bytes, done, bytes.length - done, done);
      if (count === 0) fail(`ends at byte ${done}: expected ${bytes.length - done} more bytes.`);
      done += count;
    }
    return bytes;
  } catch (error) {
    if (error instanceof FormatError) throw error;
    return fail(`cannot be read: ${messageOf(error)}.`, error);
  } finally {
    closeSync(file);
  }
}
