/**
 * Writes GGUF files, version 3: metadata and the table of tensors first, then the bytes of the tensors, in pieces as they are made.
 *
 * Owns the byte layout. Which metadata a model needs and how its numbers are encoded belongs to export/. Everything is little-endian; tensors
 * begin at multiples of 32 bytes; a shape is written with the extent that is contiguous in memory first, the reverse of ours.
 * Source: ggml, docs/gguf.md and ggml/include/ggml.h (numbers of the types).
 */

import { FormatError } from '../util/errors.ts';
import { createSequentialFile, type SequentialFile } from './sequential-file.ts';

/** Elements of a block, its bytes, and the number of the type in ggml. */
export const GGUF_TYPES = {
  f32: { id: 0, blockElements: 1, blockBytes: 4 },
  f16: { id: 1, blockElements: 1, blockBytes: 2 },
  q8_0: { id: 8, blockElements: 32, blockBytes: 34 },
} as const;
export type GgufType = keyof typeof GGUF_TYPES;

/** A value with its type: GGUF tells whole numbers of 32 bits from floats. */
export type GgufValue =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufType;
  /** Rows first, as everywhere here; the last extent is a multiple of the type's block. */
  readonly shape: readonly number[];
}

export interface GgufWriter {
  /** Of the finished file. */
  readonly fileBytes: number;
  /** Appends bytes of the tensors, in their order; padding is added where one ends. Throws FormatError for more than there may be. */
  write(piece: Uint8Array): void;
  /** Throws FormatError where bytes are missing. */
  finish(): void;
  close(): void;
}

const MAGIC = 'GGUF';
const VERSION = 3;
export const GGUF_ALIGNMENT = 32;
/** Longer names do not load: GGML_MAX_NAME, with the 0 behind it. */
const MAX_NAME_BYTES = 63;
const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Bytes of a tensor, without padding. */
export function ggufBytes({ type, shape }: GgufTensor): number {
  const { blockElements, blockBytes } = GGUF_TYPES[type];
  return (shape.reduce((product, extent) => product * extent, 1) / blockElements) * blockBytes;
}

/** Starts a file (not atomically: see atomic-write.ts). Throws FormatError for a name that is repeated or too long, or a shape of no whole blocks. */
export function createGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): GgufWriter {
  checkTensors(path, tensors);
  const header = encodeGgufHeader(metadata, tensors);
  const sizes = tensors.map(ggufBytes);
  const fileBytes = sizes.reduce((sum, bytes) => sum + aligned(bytes), header.length);
  const file = createSequentialFile(path, 'gguf');
  file.append(header);
  return { fileBytes, ...tensorStream(path, file, sizes), close: () => file.close() };
}

function tensorStream(
  path: string,
  file: SequentialFile,
  sizes: readonly number[],
): Pick<GgufWriter, 'write' | 'finish'> {
  let current = 0;
  let left = sizes[0] ?? 0;
  const fail = (what: string): never => {
    throw new FormatError('gguf', `${path}: ${what}.`, path);
  };
  return {
    write(piece) {
      while (piece.length > 0) {
        if (current === sizes.length) fail(`expected no more bytes, got ${piece.length}`);
        const part = piece.subarray(0, left);
        file.append(part);
        piece = piece.subarray(part.length);
        left -= part.length;
        if (left > 0) continue;
        file.append(new Uint8Array(aligned(sizes[current]) - sizes[current]));
        current++;
        left = sizes[current] ?? 0;
      }
    },
    finish() {
      if (current < sizes.length) fail(`${left} bytes of tensor ${current} were not written`);
    },
  };
}

/** Everything in front of the first tensor, padding included. */
export function encodeGgufHeader(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Uint8Array {
  const bytes = new ByteSink();
  bytes.raw(new TextEncoder().encode(MAGIC));
  bytes.u32(VERSION);
  bytes.u64(tensors.length);
  bytes.u64(metadata.size);
  for (const [key, value] of metadata) {
    bytes.string(key);
    writeValue(bytes, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    bytes.string(tensor.name);
    bytes.u32(tensor.shape.length);
    for (const extent of [...tensor.shape].reverse()) bytes.u64(extent);
    bytes.u32(GGUF_TYPES[tensor.type].id);
    bytes.u64(offset);
    offset += aligned(ggufBytes(tensor));
  }
  bytes.raw(new Uint8Array(aligned(bytes.length) - bytes.length));
  return bytes.finish();
}

function writeValue(bytes: ByteSink, value: GgufValue): void {
  if ('u32' in value) {
    bytes.u32(VALUE_TYPES.u32);
    bytes.u32(value.u32);
  } else if ('f32' in value) {
    bytes.u32(VALUE_TYPES.f32);
    bytes.f32(value.f32);
  } else if ('bool' in value) {
    bytes.u32(VALUE_TYPES.bool);
    bytes.raw(Uint8Array.of(Number(value.bool)));
  } else if ('string' in value) {
    bytes.u32(VALUE_TYPES.string);
    bytes.string(value.string);
  } else {
    writeArray(bytes, value);
  }
}

function writeArray(
  bytes: ByteSink,
  value: Extract<GgufValue, { strings: unknown } | { i32s: unknown } | { f32s: unknown }>,
): void {
  bytes.u32(VALUE_TYPES.array);
  if ('strings' in value) {
    bytes.u32(VALUE_TYPES.string);
    bytes.u64(value.strings.length);
    for (const item of value.strings) bytes.string(item);
  } else if ('f32s' in value) {
    bytes.u32(VALUE_TYPES.f32);
    bytes.u64(value.f32s.length);
    for (const item of value.f32s) bytes.f32(item);
  } else {
    bytes.u32(VALUE_TYPES.i32);
    bytes.u64(value.i32s.length);
    for (const item of value.i32s) bytes.u32(item);
  }
}

function checkTensors(path: string, tensors: readonly GgufTensor[]): void {
  const names = new Set<string>();
  for (const { name, type, shape } of tensors) {
    const { blockElements } = GGUF_TYPES[type];
    const last = shape[shape.length - 1];
    const problem = names.has(name)
      ? 'the name is used twice'
      : Buffer.byteLength(name) > MAX_NAME_BYTES
        ? `expected a name of at most ${MAX_NAME_BYTES} bytes`
        : last % blockElements !== 0
          ? `${type} stores blocks of ${blockElements}: expected rows of a multiple of it, got ${last}`
          : null;
    if (problem !== null) throw new FormatError('gguf', `${path}: tensor "${name}": ${problem}.`, path);
    names.add(name);
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / GGUF_ALIGNMENT) * GGUF_ALIGNMENT;
}

/** Grows as it is written to. */
class ByteSink {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #encoder = new TextEncoder();

  get length(): number {
    return this.#length;
  }

  u32(value: number): void {
    const at = this.#take(4); // which may make another view
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  f32(value: number): void {
    const at = this.#take(4); // which may make another view
    this.#view.setFloat32(at, value, true);
  }

  string(text: string): void {
    const bytes = this.#encoder.encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #take(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
