/**
 * The header of a GGUF file: metadata of any type and the table of tensors, in front of their aligned bytes.
 *
 * Owns the layout of versions 2 and 3 and every check of it; what the keys mean belongs to import/gguf-model.ts, the element types to
 * ggml-types/. A header is hostile until it has passed: each length is held against a limit and against what is left of the file before anything is
 * allocated for it, tensors neither overlap nor leave the file, and an error names the file, the field and the byte.
 * Source: https://github.com/ggml-org/ggml, docs/gguf.md and src/gguf.cpp.
 */

import { FormatError } from '../util/errors.ts';
import { ByteCursor, type ByteSource } from './byte-source.ts';
import type { GgmlType } from './ggml-types/ggml-type.ts';
import { GGML_TYPES, ggmlTypeText } from './ggml-types/ggml-types.ts';
import { describe } from './safetensors-header.ts';

/** 64-bit integers beyond 2^53 are bigints. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

export interface GgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** As ggml has it, the fastest dimension first: a matrix that PyTorch calls [out, in] is [in, out] here. */
  readonly shape: readonly number[];
  readonly elements: number;
  /** Where its bytes begin, from the start of the file. */
  readonly byteOffset: number;
  readonly bytes: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  /** Where in the file the value of each key begins, for messages. */
  readonly places: ReadonlyMap<string, number>;
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Where the bytes of the tensors begin, and of what their places are multiples. */
  readonly dataOffset: number;
  readonly alignment: number;
}

/** What a header may have at most. Real ones stay well below: a vocabulary of 256,000 tokens with its merges takes about 10 MB. */
export const GGUF_LIMITS = {
  headerBytes: 2 ** 27,
  keys: 65_536,
  tensors: 65_536,
  keyBytes: 65_535,
  tensorNameBytes: 64,
  stringBytes: 2 ** 26,
  /** Of all arrays together, an array in an array included. */
  arrayElements: 2 ** 22,
  arrayDepth: 4,
  dimensions: 4,
  alignment: 2 ** 16,
} as const;

const MAGIC = 0x46554747; // "GGUF"
const DEFAULT_ALIGNMENT = 32;
/** A key with its type and shortest value, a tensor with its shortest name: what a count must at least leave in the file. */
const LEAST_KEY_BYTES = 8 + 4 + 1;
const LEAST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;

interface ScalarType {
  readonly name: string;
  readonly bytes: number;
  readonly read: (view: DataView, at: number) => number | bigint;
}

const SCALARS: Readonly<Record<number, ScalarType>> = {
  0: { name: 'UINT8', bytes: 1, read: (view, at) => view.getUint8(at) },
  1: { name: 'INT8', bytes: 1, read: (view, at) => view.getInt8(at) },
  2: { name: 'UINT16', bytes: 2, read: (view, at) => view.getUint16(at, true) },
  3: { name: 'INT16', bytes: 2, read: (view, at) => view.getInt16(at, true) },
  4: { name: 'UINT32', bytes: 4, read: (view, at) => view.getUint32(at, true) },
  5: { name: 'INT32', bytes: 4, read: (view, at) => view.getInt32(at, true) },
  6: { name: 'FLOAT32', bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  10: { name: 'UINT64', bytes: 8, read: (view, at) => numberIfExact(view.getBigUint64(at, true)) },
  11: { name: 'INT64', bytes: 8, read: (view, at) => numberIfExact(view.getBigInt64(at, true)) },
  12: { name: 'FLOAT64', bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** Reads and checks the header of an open file. Throws FormatError that names the field, the byte, what was expected and what was found. */
export function parseGgufHeader(source: ByteSource): GgufHeader {
  const reader = new HeaderReader(source);
  const { version, tensorCount, keyCount } = reader.prefix();
  const metadata = new Map<string, GgufValue>();
  const places = new Map<string, number>();
  for (let i = 0; i < keyCount; i++) {
    const { key, value, place } = reader.entry(i, keyCount);
    if (metadata.has(key)) reader.failAt(place, `key ${describe(key)} is there twice: expected each key once.`);
    metadata.set(key, value);
    places.set(key, place);
  }
  const alignment = reader.alignment(metadata, places);
  const entries = Array.from({ length: tensorCount }, (_, i) => reader.tensor(i, tensorCount, alignment));
  const dataOffset = Math.ceil(reader.position / alignment) * alignment;
  const tensors = placeTensors(entries, dataOffset, source);
  return { version, metadata, places, tensors, dataOffset, alignment };
}

interface TensorEntry extends Omit<GgufTensor, 'byteOffset'> {
  /** From dataOffset on. */
  readonly offset: number;
  /** Of the entry in the header. */
  readonly place: number;
}

class HeaderReader {
  readonly #path: string;
  readonly #cursor: ByteCursor;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #arrayElements = 0;

  constructor(source: ByteSource) {
    this.#path = source.path;
    this.#cursor = new ByteCursor(source, GGUF_LIMITS.headerBytes);
  }

  get position(): number {
    return this.#cursor.position;
  }

  failAt(byte: number, message: string): never {
    throw new FormatError('gguf', `${this.#path}: at byte ${byte}: ${message}`, this.#path);
  }

  prefix(): { version: number; tensorCount: number; keyCount: number } {
    const magic = this.#scalar(4, 'the magic number "GGUF"') as number;
    if (magic !== MAGIC) this.failAt(0, `expected the magic number "GGUF", found 0x${magic.toString(16)}.`);
    const version = this.#scalar(4, 'the version') as number;
    if (version !== 2 && version !== 3) {
      // A big-endian 2 or 3 has its bytes at the other end.
      const found = (version & 0xffff) === 0 && version !== 0 ? 'a big-endian file' : `version ${version}`;
      this.failAt(4, `expected a little-endian GGUF file of version 2 or 3, found ${found}. Convert it anew.`);
    }
    const tensorCount = this.#length(GGUF_LIMITS.tensors, 'the number of tensors', LEAST_TENSOR_BYTES);
    const keyCount = this.#length(GGUF_LIMITS.keys, 'the number of keys', LEAST_KEY_BYTES);
    return { version, tensorCount, keyCount };
  }

  entry(index: number, count: number): { key: string; value: GgufValue; place: number } {
    const key = this.#string(GGUF_LIMITS.keyBytes, `key ${index + 1} of ${count}`);
    const what = `key ${describe(key)}`;
    const type = this.#scalar(4, `the type of ${what}`) as number;
    const place = this.position;
    return { key, value: this.#value(type, what, 0), place };
  }

  alignment(metadata: GgufMetadata, places: ReadonlyMap<string, number>): number {
    const key = 'general.alignment';
    const alignment = metadata.get(key) ?? DEFAULT_ALIGNMENT;
    const fits =
      typeof alignment === 'number' && alignment <= GGUF_LIMITS.alignment && Number.isInteger(Math.log2(alignment));
    if (fits && alignment >= 1) return alignment;
    const expected = `a power of two up to ${GGUF_LIMITS.alignment}`;
    return this.failAt(places.get(key)!, `key "${key}": expected ${expected}, found ${text(alignment)}.`);
  }

  tensor(index: number, count: number, alignment: number): TensorEntry {
    const place = this.position;
    const name = this.#string(GGUF_LIMITS.tensorNameBytes, `the name of tensor ${index + 1} of ${count}`);
    const what = `tensor ${describe(name)}`;
    const shape = this.#shape(what);
    const typePlace = this.position;
    const id = this.#scalar(4, `the type of ${what}`) as number;
    const type = GGML_TYPES.get(id);
    if (type === undefined) {
      const known = [...GGML_TYPES.values()].map((one) => one.name).join(', ');
      return this.failAt(typePlace, `${what} has the type ${ggmlTypeText(id)}: expected one of ${known}.`);
    }
    const elements = shape.reduce((product, extent) => product * extent, 1);
    if (!Number.isSafeInteger(elements) || shape[0] % type.blockElements !== 0) {
      const rows = `rows of whole blocks of ${type.blockElements} elements, as ${type.name} has them`;
      this.failAt(place, `${what}: expected ${rows}, found the shape [${shape.join(', ')}].`);
    }
    const offsetPlace = this.position;
    const offset = this.#length(Number.MAX_SAFE_INTEGER, `the place of ${what}`);
    if (offset % alignment !== 0) {
      this.failAt(offsetPlace, `${what}: expected a place that is a multiple of ${alignment}, found ${offset}.`);
    }
    return { name, type, shape, elements, bytes: (elements / type.blockElements) * type.blockBytes, offset, place };
  }

  #shape(what: string): number[] {
    const place = this.position;
    const dimensions = this.#scalar(4, `the number of dimensions of ${what}`) as number;
    if (dimensions < 1 || dimensions > GGUF_LIMITS.dimensions) {
      this.failAt(place, `${what}: expected 1 to ${GGUF_LIMITS.dimensions} dimensions, found ${dimensions}.`);
    }
    return Array.from({ length: dimensions }, () => {
      const place = this.position;
      const extent = this.#length(Number.MAX_SAFE_INTEGER, `a dimension of ${what}`);
      if (extent === 0) this.failAt(place, `${what}: expected a dimension of at least 1, found 0.`);
      return extent;
    });
  }

  #value(type: number, what: string, depth: number): GgufValue {
    if (type === STRING) return this.#string(GGUF_LIMITS.stringBytes, what);
    if (type === ARRAY) return this.#array(what, depth);
    if (type === BOOL) return this.#bool(what);
    const scalar = SCALARS[type];
    if (scalar !== undefined) return this.#number(scalar.bytes, what, scalar.read);
    return this.failAt(this.position - 4, `${what}: expected a type of values from 0 to 12, found ${type}.`);
  }

  #array(what: string, depth: number): GgufValue[] {
    const { arrayDepth, arrayElements } = GGUF_LIMITS;
    const place = this.position;
    if (depth === arrayDepth) this.failAt(place, `${what}: expected at most ${arrayDepth} arrays in one another.`);
    const type = this.#scalar(4, `the type of the elements of ${what}`) as number;
    const bytes = leastBytes(type);
    if (bytes === undefined) this.failAt(place, `${what}: expected a type of elements from 0 to 12, found ${type}.`);
    const count = this.#length(arrayElements, `the number of elements of ${what}`, bytes);
    this.#arrayElements += count;
    if (this.#arrayElements > arrayElements) {
      this.failAt(place, `${what}: expected at most ${arrayElements} elements in all arrays, found more.`);
    }
    const values: GgufValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.#value(type, what, depth + 1));
    return values;
  }

  #bool(what: string): boolean {
    const place = this.position;
    const byte = this.#number(1, what, (view, at) => view.getUint8(at));
    if (byte > 1) this.failAt(place, `${what}: expected a BOOL, 0 or 1, found ${byte}.`);
    return byte === 1;
  }

  #string(limit: number, what: string): string {
    const length = this.#length(limit, `the length of ${what}`, 1);
    const place = this.position;
    try {
      return this.#decoder.decode(this.#cursor.take(length));
    } catch (error) {
      if (error instanceof FormatError) throw error;
      return this.failAt(place, `${what}: expected text in UTF-8, found other bytes.`);
    }
  }

  /** A count or a size: at most `limit`, and so many times `unitBytes` must be left in the file. */
  #length(limit: number, what: string, unitBytes = 0): number {
    const place = this.position;
    const length = this.#number(8, what, (view, at) => view.getBigUint64(at, true));
    if (length > BigInt(limit)) this.failAt(place, `${what}: expected at most ${limit}, found ${length}.`);
    this.#expect(Number(length) * unitBytes, what, place);
    return Number(length);
  }

  #scalar(bytes: 4, what: string): number {
    return this.#number(bytes, what, (view, at) => view.getUint32(at, true));
  }

  #number<T>(bytes: number, what: string, read: (view: DataView, at: number) => T): T {
    this.#expect(bytes, what, this.position);
    return this.#cursor.number(bytes, read);
  }

  #expect(bytes: number, what: string, place: number): void {
    const { left, endsWithFile } = this.#cursor;
    if (bytes <= left) return;
    const end = endsWithFile ? 'the file' : `the ${GGUF_LIMITS.headerBytes} bytes that a header may have`;
    this.failAt(place, `${what}: expected ${bytes} bytes, found the end of ${end} after ${left}. Is it truncated?`);
  }
}

/** Bytes that an element of an array takes at least; undefined for a type that is none. */
function leastBytes(type: number): number | undefined {
  if (type === BOOL) return 1;
  if (type === STRING) return 8;
  return type === ARRAY ? 12 : SCALARS[type]?.bytes;
}

/** Holds the tensors against each other and the file. */
function placeTensors(
  entries: readonly TensorEntry[],
  dataOffset: number,
  { path, bytes: fileBytes }: ByteSource,
): Map<string, GgufTensor> {
  const fail = ({ place, name }: TensorEntry, message: string): never => {
    throw new FormatError('gguf', `${path}: at byte ${place}: tensor ${describe(name)} ${message}`, path);
  };
  const tensors = new Map<string, GgufTensor>();
  for (const entry of entries) {
    const { name, type, shape, elements, bytes, offset } = entry;
    if (tensors.has(name)) fail(entry, 'is there twice: expected each name once.');
    const byteOffset = dataOffset + offset;
    if (byteOffset + bytes > fileBytes) {
      const expected = `expected ${bytes} bytes at byte ${byteOffset}, found a file of ${fileBytes} bytes`;
      fail(entry, `leaves the file: ${expected}. Is it truncated?`);
    }
    tensors.set(name, { name, type, shape, elements, byteOffset, bytes });
  }
  const inOrder = [...entries].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < inOrder.length; i++) {
    const [before, entry] = [inOrder[i - 1], inOrder[i]];
    const end = before.offset + before.bytes;
    if (entry.offset >= end) continue;
    const found = `expected a place from ${end} on, found ${entry.offset}`;
    fail(entry, `overlaps ${describe(before.name)}: ${found} (behind byte ${dataOffset}).`);
  }
  return tensors;
}

function numberIfExact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function text(value: GgufValue): string {
  if (typeof value === 'object') return `a list of ${value.length}`;
  return typeof value === 'bigint' ? String(value) : describe(value);
}
