/**
 * Reads a GGUF file by the format's description alone: metadata, and tensors in F32, F16 and Q8_0 as numbers.
 *
 * It shares nothing with src/. Slow, and trusting: files of other people belong to the project's reader.
 */

import { readFileSync } from 'node:fs';

export interface PlainGgufTensor {
  /** Rows first: the reverse of the file. */
  shape: number[];
  type: number;
  /** From the start of the file. */
  begin: number;
  numbers: number[];
}

export interface PlainGguf {
  metadata: Map<string, unknown>;
  tensors: Map<string, PlainGgufTensor>;
  bytes: number;
}

export function readPlainGguf(path: string): PlainGguf {
  const file = readFileSync(path);
  let at = 0;
  const take = (bytes: number) => {
    at += bytes;
    return at - bytes;
  };
  const u32 = () => file.readUInt32LE(take(4));
  const u64 = () => Number(file.readBigUInt64LE(take(8)));
  const string = () => {
    const length = u64();
    return file.toString('utf8', take(length), at);
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return file.readInt32LE(take(4));
    if (type === 6) return file.readFloatLE(take(4));
    if (type === 7) return file[take(1)] === 1;
    if (type === 8) return string();
    if (type !== 9) throw new Error(`value type ${type}`);
    const [itemType, count] = [u32(), u64()];
    return Array.from({ length: count }, () => value(itemType));
  };
  if (file.toString('latin1', take(4), 4) !== 'GGUF' || u32() !== 3) throw new Error('no GGUF of version 3');
  const [tensorCount, keyCount] = [u64(), u64()];
  const metadata = new Map<string, unknown>();
  for (let i = 0; i < keyCount; i++) {
    const key = string();
    metadata.set(key, value(u32()));
  }
  const infos = Array.from({ length: tensorCount }, () => {
    const name = string();
    const shape = Array.from({ length: u32() }, u64).reverse();
    return { name, shape, type: u32(), offset: u64() };
  });
  const data = Math.ceil(at / 32) * 32;
  const tensors = infos.map(({ name, shape, type, offset }): [string, PlainGgufTensor] => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const numbers = Array.from({ length: count }, (_, i) => numberAt(file, data + offset, type, i));
    return [name, { shape, type, begin: data + offset, numbers }];
  });
  return { metadata, tensors: new Map(tensors), bytes: file.length };
}

function numberAt(file: Buffer, begin: number, type: number, i: number): number {
  if (type === 0) return file.readFloatLE(begin + 4 * i);
  if (type === 1) return half(file.readUInt16LE(begin + 2 * i));
  const block = begin + 34 * Math.floor(i / 32);
  return half(file.readUInt16LE(block)) * file.readInt8(block + 2 + (i % 32));
}

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
