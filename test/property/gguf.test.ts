/**
 * Damaged GGUF headers: whatever is in them, the parser returns tensors that lie apart and inside of the file, or throws a FormatError of one line; it
 * reads nothing behind the end and no byte much more often than once.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ByteSource } from '../../src/formats/byte-source.ts';
import { type GgufHeader, parseGgufHeader } from '../../src/formats/gguf-header.ts';
import { FormatError } from '../../src/util/errors.ts';
import { f32Bytes, ggufBytes } from '../support/gguf-bytes.ts';
import { memorySource } from '../support/memory-source.ts';
import { aDamagedFile, fuzzRuns } from '../support/mutations.ts';

const FILES = [
  readFileSync(join(import.meta.dirname, '../golden/data/gguf-types.gguf')),
  ggufBytes({}),
  ggufBytes({
    keys: [
      ['general.alignment', 4, 32],
      ['words', 9, [8, ['a', 'bc', 'def']]],
      [
        'nested',
        9,
        [
          9,
          [
            [4, [1, 2]],
            [9, [[7, [1]]]],
          ],
        ],
      ],
    ],
    tensors: [
      { name: 'a', shape: [4], data: f32Bytes([1, 2, 3, 4]) },
      { name: 'b', shape: [2, 3], data: f32Bytes([1, 2, 3, 4, 5, 6]) },
      { name: 'c', shape: [32, 1], type: 8, data: new Uint8Array(34) },
    ],
  }),
];

describe('the parser of GGUF headers', () => {
  it('returns a header that fits the file, or throws a FormatError of one line, for any damage', () => {
    fc.assert(
      fc.property(aDamagedFile(FILES), (bytes) => {
        const source = countingSource(bytes);
        const header = headerOrError(source);
        if (header !== undefined) expectFit(header, bytes.length);
        // A window is read anew only where a string is longer than it.
        expect(source.bytesRead).toBeLessThanOrEqual(2 * bytes.length);
      }),
      fuzzRuns(600),
    );
  });
});

function headerOrError(source: ByteSource): GgufHeader | undefined {
  try {
    return parseGgufHeader(source);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    const { message } = error as FormatError;
    expect(message).toMatch(/^\[gguf\] memory: at byte \d+: .*[.?]$/);
    expect(message.length).toBeLessThan(600);
    return undefined;
  }
}

function expectFit({ tensors, dataOffset }: GgufHeader, fileBytes: number): void {
  let end = dataOffset;
  for (const { byteOffset, bytes } of [...tensors.values()].sort((a, b) => a.byteOffset - b.byteOffset)) {
    expect(byteOffset).toBeGreaterThanOrEqual(end);
    expect(bytes).toBeGreaterThan(0);
    end = byteOffset + bytes;
    expect(end).toBeLessThanOrEqual(fileBytes);
  }
}

function countingSource(bytes: Buffer): ByteSource & { bytesRead: number } {
  const source = memorySource(bytes);
  const counting = {
    ...source,
    bytesRead: 0,
    read: (position: number, into: Uint8Array) => {
      counting.bytesRead += into.length;
      source.read(position, into);
    },
  };
  return counting;
}
