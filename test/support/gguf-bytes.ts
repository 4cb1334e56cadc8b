/**
 * GGUF files by hand, right ones and wrong ones: a few lines from the layout in ggml's docs/gguf.md, sharing nothing with the parser.
 */

/** Type number and value: 4 UINT32, 6 FLOAT32, 7 BOOL, 8 STRING, 9 ARRAY of [type, elements]; or the bytes of the value. */
export type GgufKey = [key: string, type: number, value: unknown];

export interface GgufTensorBytes {
  name: string;
  shape: readonly number[];
  /** Number of the element type. Default: F32. */
  type?: number;
  data: Uint8Array;
  /** From the beginning of the data on. Default: behind the one before. */
  offset?: number;
}

export interface GgufFileBytes {
  magic?: string;
  version?: number;
  keys?: readonly GgufKey[];
  tensors?: readonly GgufTensorBytes[];
  /** Instead of the true ones. */
  keyCount?: number | bigint;
  tensorCount?: number | bigint;
}

const ALIGNMENT = 32;

export function ggufBytes(file: GgufFileBytes): Buffer {
  const { magic = 'GGUF', version = 3, keys = [], tensors = [] } = file;
  const parts = [Buffer.from(magic), u32(version), u64(file.tensorCount ?? tensors.length)];
  parts.push(u64(file.keyCount ?? keys.length));
  for (const [key, type, value] of keys) parts.push(string(key), u32(type), valueBytes(type, value));
  let end = 0;
  const placed = tensors.map((tensor) => {
    const offset = tensor.offset ?? aligned(end);
    end = Math.max(end, offset + tensor.data.length);
    return { ...tensor, offset };
  });
  for (const { name, shape, type = 0, offset } of placed) {
    parts.push(string(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset));
  }
  const header = Buffer.concat(parts);
  const bytes = Buffer.alloc(aligned(header.length) + aligned(end));
  header.copy(bytes);
  for (const { data, offset } of placed) bytes.set(data, aligned(header.length) + offset);
  return bytes;
}

/** Numbers as the bytes of an F32 tensor. */
export function f32Bytes(numbers: Iterable<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(numbers).buffer);
}

function valueBytes(type: number, value: unknown): Buffer {
  if (Buffer.isBuffer(value) && type !== 8) return value;
  if (type === 4) return u32(value as number);
  if (type === 6) return Buffer.from(f32Bytes([value as number]));
  if (type === 7) return Buffer.from([value as number]);
  if (type === 8) return string(value as string | Buffer);
  if (type === 9) {
    const [element, values] = value as [number, unknown[]];
    return Buffer.concat([u32(element), u64(values.length), ...values.map((one) => valueBytes(element, one))]);
  }
  throw new Error(`no bytes of type ${type}`);
}

/** An array of one element of each type, as the bytes of a value; where a type has such numbers, of one that no f64 holds. */
export function oneElementArrays(): { type: number; bytes: Buffer }[] {
  const numbers = [1, 1, 2, 2, 4, 4, 4, null, null, null, 8, 8, 8].map((size) => Buffer.alloc(size ?? 0, 0x7f));
  const unsigned = Buffer.concat([u32(10), u64(1), u64(2n ** 64n - 1n)]);
  const others: Record<number, Buffer> = { 7: Buffer.from([1]), 8: string('x'), 9: unsigned };
  return numbers.map((number, type) => ({ type, bytes: Buffer.concat([u32(type), u64(1), others[type] ?? number]) }));
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function string(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([u64(bytes.length), bytes]);
}
