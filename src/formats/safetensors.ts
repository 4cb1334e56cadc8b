/**
 * Reads and writes safetensors files, one tensor at a time: a model never has to be in memory twice.
 *
 * Owns the file access and the typed arrays; the layout and its checks are `safetensors-header.ts`. Bytes are taken as
 * they lie in the file, which is little-endian, like every machine that Node's builds and the kernels run on but s390x.
 */

import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { FormatError, messageOf } from '../util/errors.ts';
import type { SafetensorsDType, SafetensorsHeader, TensorInfo } from './safetensors-header.ts';
import { DTYPE_BYTES, encodeHeader, headerLength, LENGTH_BYTES, parseHeader } from './safetensors-header.ts';

/** What an element type is in JavaScript; half precision and 8-bit floats come as their bits, BOOL as 0 and 1. */
const ARRAY_OF = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  F8_E5M2: Uint8Array,
  F8_E4M3: Uint8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;
export type TensorData = InstanceType<(typeof ARRAY_OF)[SafetensorsDType]>;

export interface TensorEntry {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
  data: TensorData;
}

/** An open file. `close` it: it holds a file descriptor. */
export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /** Of the open file, for whoever maps it. */
  readonly descriptor: number;
  /** Reads one tensor into memory of its own. Throws FormatError where there is none of that name or the read fails. */
  tensor(name: string): TensorEntry;
  /** Fills `into`, memory of a backend as it may be, with the bytes of the file from `position` on. Throws FormatError. */
  read(position: number, into: Uint8Array): void;
  close(): void;
}

/**
 * Writes tensors to `path` (not atomically: see atomic-write.ts) in the given order, wider element types first so that
 * every tensor is aligned to its elements. Returns the bytes written.
 * Throws FormatError for a repeated name, data that does not fit dtype or shape, and a write that fails.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorEntry>,
  metadata: Readonly<Record<string, string>> = {},
): number {
  const entries = [...tensors].sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
  for (const entry of entries) checkEntry(entry, path);
  const header = encodeHeader(
    entries.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, bytes: data.byteLength })),
    metadata,
    path,
  );
  return withFile(path, 'w', 'write', (file) => {
    let written = writeAll(file, header);
    for (const { data } of entries) {
      written += writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    return written;
  });
}

/** A file that is written tensor by tensor, in the order of its header. */
export interface SafetensorsWriter {
  /** The bytes of the next tensor. Throws FormatError for another name or number of bytes, and where writing fails. */
  append(name: string, data: Uint8Array): void;
  /** Throws FormatError where tensors are missing. */
  finish(): void;
  close(): void;
}

/** Starts a file (not atomically: see atomic-write.ts). Throws FormatError for a repeated name. */
export function createSafetensors(
  path: string,
  tensors: readonly Omit<TensorInfo, 'byteOffset'>[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsWriter {
  const header = encodeHeader(tensors, metadata, path);
  const file = attempt(path, 'write', () => openSync(path, 'w'));
  let written = 0;
  const expectNext = (name: string | undefined, bytes: number): void => {
    const next = tensors.at(written);
    if (next?.name === name && (next?.bytes ?? 0) === bytes) return;
    const [expected, got] = [next, name && { name, bytes }].map((one) =>
      one ? `${one.name} of ${one.bytes} bytes` : 'the end',
    );
    throw new FormatError('safetensors', `${path}: expected ${expected}, got ${got}.`, path);
  };
  try {
    attempt(path, 'write', () => writeAll(file, header));
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return {
    append(name, data) {
      expectNext(name, data.length);
      attempt(path, 'write', () => writeAll(file, data));
      written++;
    },
    finish: () => expectNext(undefined, 0),
    close: () => closeSync(file),
  };
}

/** The checked header of a file. Throws FormatError. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withFile(path, 'r', 'read', (file) => readHeader(file, path));
}

/** Opens a file and checks its header; tensors are read when asked for. Throws FormatError. */
export function openSafetensors(path: string): SafetensorsFile {
  const file = attempt(path, 'read', () => openSync(path, 'r'));
  try {
    const header = attempt(path, 'read', () => readHeader(file, path));
    return {
      ...header,
      path,
      descriptor: file,
      tensor: (name) => attempt(path, 'read', () => readTensor(file, header, name, path)),
      read: (position, into) => attempt(path, 'read', () => readAll(file, into, position, path)),
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function readHeader(file: number, path: string): SafetensorsHeader {
  const fileBytes = fstatSync(file).size;
  const first = new Uint8Array(Math.min(LENGTH_BYTES, fileBytes));
  readAll(file, first, 0, path);
  const json = new Uint8Array(headerLength(first, fileBytes, path));
  readAll(file, json, LENGTH_BYTES, path);
  return parseHeader(json, fileBytes, path);
}

function readTensor(file: number, header: SafetensorsHeader, name: string, path: string): TensorEntry {
  const info: TensorInfo | undefined = header.tensors.get(name);
  if (info === undefined) {
    const names = [...header.tensors.keys()];
    const some = names.slice(0, 5).join(', ') + (names.length > 5 ? ', ...' : '');
    throw new FormatError('safetensors', `${path}: no tensor "${name}": expected one of ${some || 'none'}.`, path);
  }
  const data = new ARRAY_OF[info.dtype](info.bytes / DTYPE_BYTES[info.dtype]);
  readAll(file, new Uint8Array(data.buffer), info.byteOffset, path);
  return { name, dtype: info.dtype, shape: info.shape, data };
}

function checkEntry({ name, dtype, shape, data }: TensorEntry, path: string): void {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  if (data.length === elements && data.BYTES_PER_ELEMENT === DTYPE_BYTES[dtype]) return;
  const expected = `${elements} elements of ${DTYPE_BYTES[dtype]} bytes for ${dtype} [${shape.join(', ')}]`;
  const found = `${data.length} of ${data.BYTES_PER_ELEMENT} bytes`;
  throw new FormatError('safetensors', `${path}: tensor "${name}": expected ${expected}, got ${found}.`, path);
}

/** One call may move less than asked (Linux stops at 2 GiB). */
function writeAll(file: number, bytes: Uint8Array): number {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
  return bytes.length;
}

function readAll(file: number, bytes: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30), position + done);
    if (count === 0) {
      const expected = `${bytes.length - done} more bytes`;
      throw new FormatError('safetensors', `${path}: ends at byte ${position + done}: expected ${expected}.`, path);
    }
    done += count;
  }
}

function withFile<T>(path: string, flags: 'r' | 'w', verb: 'read' | 'write', body: (file: number) => T): T {
  return attempt(path, verb, () => {
    const file = openSync(path, flags);
    try {
      return body(file);
    } finally {
      closeSync(file);
    }
  });
}

/** Errors of the file system become FormatErrors of one line. */
function attempt<T>(path: string, verb: 'read' | 'write', body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError('safetensors', `cannot ${verb} ${path}: ${messageOf(error)}.`, path, { cause: error });
  }
}
