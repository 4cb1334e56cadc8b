/**
 * Reads what the golden tests compare with: a safetensors file and the JSON beside it, and measures differences.
 *
 * Parsed here in a few lines and not with the project's reader: a golden test should not depend on the code it tests.
 */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface GoldenArray {
  shape: number[];
  data: Float32Array | Int32Array | Uint8Array;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** A path below the shared data folder: $QSPARSE_DATA, or ../shared beside the repository. */
export function sharedPath(...parts: string[]): string {
  return join(process.env.QSPARSE_DATA ?? join(root, '..', 'shared'), ...parts);
}

/** Why a test that needs `path` cannot run, or null where it can. */
export function missing(path: string): string | null {
  return existsSync(path) ? null : `skipped, the file is missing: ${path}`;
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

export function readArrays(path: string): Map<string, GoldenArray> {
  const bytes = readFileSync(path);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: 'F32' | 'I32' | 'U8'; shape: number[]; data_offsets: [number, number] }
  >;
  const arrays = new Map<string, GoldenArray>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [first, last] = entry.data_offsets.map((offset) => bytes.byteOffset + 8 + headerLength + offset);
    const copy = bytes.buffer.slice(first, last);
    const Data = { F32: Float32Array, I32: Int32Array, U8: Uint8Array }[entry.dtype];
    arrays.set(name, { shape: entry.shape, data: new Data(copy as ArrayBuffer) });
  }
  return arrays;
}

/** Largest absolute difference, and the largest magnitude of `expected` to relate it to. NaN is infinitely far. */
export function difference(got: ArrayLike<number>, expected: ArrayLike<number>): { maxAbs: number; scale: number } {
  let maxAbs = got.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(got[i] - expected[i]);
    maxAbs = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(maxAbs, distance);
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return { maxAbs, scale };
}
