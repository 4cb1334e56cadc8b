/** A Blob (a dropped file, a file of the cache, what was fetched) as a ByteSource, in a Worker: pages may not read synchronously. */

import { type ByteSource, expectInside } from '../formats/byte-source.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { browser } from './browser-globals.ts';

/** What is copied at once on the way into the memory of the kernels. */
const PIECE_BYTES = 2 ** 22;

export function blobSource(blob: Blob, path: string): ByteSource {
  const read = (position: number, into: Uint8Array): void => {
    expectInside(path, blob.size, position, into.length);
    const reader = new (browser().FileReaderSync)();
    for (let done = 0; done < into.length; done += PIECE_BYTES) {
      const begin = position + done;
      const end = Math.min(begin + PIECE_BYTES, position + into.length);
      into.set(new Uint8Array(readPiece(reader, blob.slice(begin, end), path)), done);
    }
  };
  return { path, bytes: blob.size, read, close: () => {} };
}

/** A dropped file that was changed or removed since cannot be read any more. */
function readPiece(reader: { readAsArrayBuffer(blob: Blob): ArrayBuffer }, blob: Blob, path: string): ArrayBuffer {
  try {
    return reader.readAsArrayBuffer(blob);
  } catch (error) {
    throw new FormatError('load', `${path} cannot be read: ${messageOf(error)}`, path, { cause: error });
  }
}
