/**
 * The header of a safetensors file: JSON between an 8-byte little-endian length and the raw bytes of the tensors.
 *
 * Owns the layout and every check of it, without touching files. A header is hostile until it has passed: the rules
 * are those of the reference implementation (the tensors lie one behind the other, without hole or overlap, and end where the file
 * ends; the header is at most 100 MB), and repeated names, which JSON.parse would hide, are refused too.
 * Source: https://github.com/huggingface/safetensors, safetensors/src/tensor.rs.
 */

import { FormatError, messageOf } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';

/** Bytes per element. F16, BF16 and the 8-bit floats are stored as their bits. */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;
export type SafetensorsDType = keyof typeof DTYPE_BYTES;

export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Where its bytes begin, from the start of the file. */
  readonly byteOffset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** In the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the first tensor begins. */
  readonly dataOffset: number;
}

/** The length field in front of the header. */
export const LENGTH_BYTES = 8;
/** The limit of the reference implementation; a header of a million tensors has about this size. */
export const MAX_HEADER_BYTES = 100_000_000;
/** More than any model needs; keeps the product of hostile extents short. */
const MAX_DIMENSIONS = 32;
/** A cache line and the widest vector register: where the data begins in the file. */
const DATA_ALIGNMENT = 64;

/** The length of the header from the first 8 bytes of a file of `fileBytes`. Throws FormatError where it cannot be. */
export function headerLength(first: Uint8Array, fileBytes: number, path: string): number {
  if (fileBytes < LENGTH_BYTES || first.length < LENGTH_BYTES) {
    fail(path, `at byte 0: expected a header length of ${LENGTH_BYTES} bytes, found a file of ${fileBytes} bytes.`);
  }
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    fail(path, `at byte 0: expected a header of at most ${MAX_HEADER_BYTES} bytes, found a length of ${length}.`);
  }
  if (LENGTH_BYTES + Number(length) > fileBytes) {
    fail(path, `at byte 0: the header of ${length} bytes leaves the file of ${fileBytes} bytes. It is truncated.`);
  }
  return Number(length);
}

/**
 * Checks and reads the JSON of a header (the bytes behind the length field) of a file of `fileBytes` bytes.
 * Throws FormatError that names the tensor, the byte offset, what was expected and what was found.
 */
export function parseHeader(json: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  const dataOffset = LENGTH_BYTES + json.length;
  const tensors: TensorInfo[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseObject(json, path))) {
    if (name === '__metadata__') metadata = parseMetadata(value, path);
    else tensors.push(parseTensor(name, value, dataOffset, path));
  }
  tensors.sort((a, b) => a.byteOffset - b.byteOffset || a.bytes - b.bytes);
  let end = dataOffset;
  for (const { name, byteOffset, bytes } of tensors) {
    if (byteOffset !== end) {
      const what = byteOffset < end ? 'overlaps the one before it' : 'leaves a hole behind the one before it';
      fail(path, `tensor "${name}" ${what}: expected it at byte ${end}, found byte ${byteOffset}.`);
    }
    end += bytes;
    if (end > fileBytes) {
      fail(
        path,
        `tensor "${name}" leaves the file: expected at least ${end} bytes, found ${fileBytes}. Is it truncated?`,
      );
    }
  }
  if (end !== fileBytes) {
    fail(path, `the tensors end at byte ${end} but the file at byte ${fileBytes}: expected nothing behind them.`);
  }
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata, dataOffset };
}

/**
 * Length field and header of tensors in the given order, padded with spaces to a multiple of `alignment` bytes.
 * Throws FormatError for a name that is used twice or reserved.
 */
export function encodeHeader(
  tensors: readonly Omit<TensorInfo, 'byteOffset'>[],
  metadata: Readonly<Record<string, string>>,
  path: string,
  alignment = DATA_ALIGNMENT,
): Uint8Array {
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', metadata]);
  const names = new Set(['__metadata__']);
  let end = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    if (names.has(name)) fail(path, `tensor "${name}" cannot be written: the name is used twice or reserved.`);
    names.add(name);
    entries.push([name, { dtype, shape, data_offsets: [end, end + bytes] }]);
    end += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const total = Math.ceil((LENGTH_BYTES + json.length) / alignment) * alignment;
  const header = new Uint8Array(total).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(total - LENGTH_BYTES), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

function parseObject(json: Uint8Array, path: string): Record<string, unknown> {
  const where = `at byte ${LENGTH_BYTES}`;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch (error) {
    return fail(path, `${where}: expected a header in JSON, found ${messageOf(error)}.`);
  }
  return parseJsonObject(text, 'a header', where, path);
}

/** The JSON object that `text` holds; a key that is there twice, which JSON.parse would hide, is refused. Throws FormatError. */
export function parseJsonObject(text: string, what: string, where: string, path: string): Record<string, unknown> {
  let value: unknown;
  let repeated: string | undefined;
  try {
    value = JSON.parse(text);
    repeated = repeatedKey(text);
  } catch (error) {
    // It quotes the text, which may have several lines.
    fail(path, `${where}: expected ${what} in JSON, found ${messageOf(error).replace(/\s+/g, ' ')}.`);
  }
  if (repeated !== undefined)
    fail(path, `${where}: expected ${what} without repetition, found the key "${repeated}" twice.`);
  if (!isObject(value)) fail(path, `${where}: expected a JSON object, found ${describe(value)}.`);
  return value;
}

/** The first key that an object of valid JSON `text` holds twice. */
function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  let lastString = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]+|\\.)*"|[{}:]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token !== ':') lastString = token;
    else {
      const key = JSON.parse(lastString) as string;
      const keys = open[open.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  if (!isObject(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    fail(path, `__metadata__: expected an object of strings, found ${describe(value)}.`);
  }
  return value as Record<string, string>;
}

function parseTensor(name: string, value: unknown, dataOffset: number, path: string): TensorInfo {
  const wrong = (what: string, found: unknown): never =>
    fail(path, `tensor "${name}": expected ${what}, found ${describe(found)}.`);
  if (!isObject(value)) return wrong('an object with dtype, shape and data_offsets', value);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    return wrong(`a dtype of ${Object.keys(DTYPE_BYTES).join(', ')}`, dtype);
  }
  if (!isNaturals(shape) || shape.length > MAX_DIMENSIONS) {
    return wrong(`a shape of at most ${MAX_DIMENSIONS} whole numbers`, shape);
  }
  if (!isNaturals(offsets) || offsets.length !== 2) return wrong('data_offsets of two whole numbers', offsets);
  const [begin, end] = offsets;
  const elementBytes = DTYPE_BYTES[dtype as SafetensorsDType];
  const bytes = shape.reduce((product, extent) => product * extent, elementBytes);
  if (end - begin !== bytes) {
    const found = `${end - begin} at byte ${dataOffset + begin}`;
    fail(path, `tensor "${name}": ${dtype} [${shape.join(', ')}] has ${bytes} bytes, found data_offsets of ${found}.`);
  }
  return { name, dtype: dtype as SafetensorsDType, shape, byteOffset: dataOffset + begin, bytes };
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** A value of the file for a message; cut, since the file is not trusted. */
export function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function fail(path: string, message: string): never {
  throw new FormatError('safetensors', `${path}: ${message}`, path);
}
