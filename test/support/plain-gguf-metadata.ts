/**
 * The metadata of a GGUF file, read in the plainest way for tests of what is made from it: trusted files only.
 *
 * Written from ggml's docs/gguf.md, apart from the project's reader, so that the two can differ.
 */

import { readFileSync } from 'node:fs';

export function readPlainGgufMetadata(path: string): Map<string, unknown> {
  const bytes = readFileSync(path);
  let at = 8;
  const take = (size: number) => {
    at += size;
    return at - size;
  };
  const u32 = () => bytes.readUInt32LE(take(4));
  const u64 = () => Number(bytes.readBigUInt64LE(take(8)));
  const text = () => {
    const length = u64();
    const begin = take(length);
    return bytes.toString('utf8', begin, begin + length);
  };
  const readers: Record<number, () => unknown> = {
    0: () => bytes.readUInt8(take(1)),
    1: () => bytes.readInt8(take(1)),
    2: () => bytes.readUInt16LE(take(2)),
    3: () => bytes.readInt16LE(take(2)),
    4: u32,
    5: () => bytes.readInt32LE(take(4)),
    6: () => bytes.readFloatLE(take(4)),
    7: () => bytes.readUInt8(take(1)) !== 0,
    8: text,
    10: u64,
    11: () => Number(bytes.readBigInt64LE(take(8))),
    12: () => bytes.readDoubleLE(take(8)),
  };
  readers[9] = () => {
    const read = readers[u32()];
    return Array.from({ length: u64() }, () => read());
  };
  u64(); // tensors
  const entries = u64();
  return new Map(Array.from({ length: entries }, () => [text(), readers[u32()]()]));
}
