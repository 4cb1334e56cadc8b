/**
 * PackedReader: the model.safetensors of a packed model, readable at any position: what packed-file.ts opens on a disk and `readPacked` over any
 * source, a download in a browser among them.
 */

import type { ByteSource } from './byte-source.ts';
import { isPadding, type PackedDescription, parsePackedMetadata } from './packed-metadata.ts';
import { headerLength, LENGTH_BYTES, parseHeader, type SafetensorsHeader } from './safetensors-header.ts';

export interface PackedReader extends SafetensorsHeader, PackedDescription {
  /** For messages. */
  readonly path: string;
  /** Of an open file, for whoever maps it. */
  readonly descriptor?: number;
  /** Fills `into`, memory of a backend as it may be, with the bytes from `position` on. Throws FormatError. */
  read(position: number, into: Uint8Array): void;
}

/** Reads and checks header and metadata; the source stays the caller's. Throws FormatError. */
export function readPacked(source: ByteSource): PackedReader {
  const { path, bytes } = source;
  const first = new Uint8Array(Math.min(LENGTH_BYTES, bytes));
  source.read(0, first);
  const json = new Uint8Array(headerLength(first, bytes, path));
  source.read(LENGTH_BYTES, json);
  const header = parseHeader(json, bytes, path);
  return {
    ...header,
    ...parsePackedMetadata(header, path),
    path,
    read: (position, into) => source.read(position, into),
  };
}

/** The tensors of a packed model that have a hash, with it. */
export function hashedTensors({
  tensors,
  sha256,
}: PackedReader): { name: string; byteOffset: number; bytes: number; sha256: string }[] {
  return [...tensors.values()]
    .filter(({ name }) => !isPadding(name))
    .map(({ name, byteOffset, bytes }) => ({ name, byteOffset, bytes, sha256: sha256.get(name)! }));
}
