/** A ByteSource over memory. Reading behind its end is a mistake of the parser, which knows where that is, and no FormatError. */

import type { ByteSource } from '../../src/formats/byte-source.ts';

export function memorySource(bytes: Uint8Array, path = 'memory'): ByteSource {
  const read = (position: number, into: Uint8Array): void => {
    if (position + into.length > bytes.length) throw new Error(`${path}: read behind the end`);
    into.set(bytes.subarray(position, position + into.length));
  };
  return { path, bytes: bytes.length, read, close: () => {} };
}
