import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { sampledHash } from './sampled-hash.ts';

const folder = mkdtempSync(join(tmpdir(), 'qsparse-sampled-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SMALL = { wholeBytes: 100, headBytes: 50, samples: 10, sampleBytes: 4 };
function hashOf(bytes: Uint8Array): string {
  const path = join(folder, 'model.bin');
  writeFileSync(path, bytes);
  return sampledHash(path, SMALL);
}
const changedAt = (bytes: Uint8Array, place: number) => bytes.map((byte, i) => (i === place ? byte ^ 1 : byte));

it('sees every byte of a small file', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const hashes = [bytes, ...[...bytes.keys()].map((place) => changedAt(bytes, place))].map(hashOf);
  expect(new Set(hashes).size).toBe(101);
  expect(hashOf(bytes)).toBe(hashes[0]);
});

it('sees size, beginning, end and places all over a large one', () => {
  const bytes = Uint8Array.from({ length: 550 }, (_, i) => i);
  const own = hashOf(bytes);
  const seen = [...bytes.keys()].filter((place) => hashOf(changedAt(bytes, place)) !== own);
  expect(seen.slice(0, 50)).toEqual([...bytes.keys()].slice(0, 50));
  expect(seen.length).toBe(50 + 10 * 4);
  expect(seen.at(-1)).toBe(549);
  // No stretch longer than a step goes unseen.
  expect(Math.max(...seen.map((place, i) => place - (seen[i - 1] ?? -1)))).toBeLessThan(52);
  expect(hashOf(bytes.subarray(0, 549))).not.toBe(own);
});

it('of an empty file, and none of one that is not there', () => {
  expect(hashOf(new Uint8Array(0))).toMatch(/^[0-9a-f]{16}$/);
  expect(() => sampledHash(join(folder, 'none'))).toThrow(FormatError);
});
