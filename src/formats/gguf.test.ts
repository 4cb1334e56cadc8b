import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  f32Bytes,
  type GgufFileBytes,
  ggufBytes,
  oneElementArrays,
  string,
  u32,
  u64,
} from '../../test/support/gguf-bytes.ts';
import { memorySource } from '../../test/support/memory-source.ts';
import { FormatError } from '../util/errors.ts';
import { openGguf } from './gguf.ts';
import { GGUF_LIMITS, parseGgufHeader } from './gguf-header.ts';
import { openByteSource } from './open-byte-source.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-gguf-'));
afterAll(() => rmSync(directory, { recursive: true }));

const GOLDEN = join(import.meta.dirname, '../../test/golden/data/gguf-types.gguf');

describe('openGguf', () => {
  it('reads metadata of every type as the package gguf wrote it', () => {
    const { metadata, version, alignment, close } = openGguf(openByteSource(GOLDEN, 'gguf'));
    expect(version).toBe(3);
    expect(alignment).toBe(64);
    expect(Object.fromEntries([...metadata].filter(([key]) => key.startsWith('test.')))).toEqual({
      'test.uint8': 255,
      'test.int8': -128,
      'test.uint16': 65535,
      'test.int16': -32768,
      'test.uint32': 4294967295,
      'test.int32': -2147483648,
      'test.float32': Math.fround(1e-5),
      'test.true': true,
      'test.false': false,
      'test.string': 'Grüße, 世界 🙂\n',
      'test.uint64': 2n ** 64n - 1n,
      'test.int64': -(2n ** 53n),
      'test.float64': 1e-300,
      'test.strings': ['', 'a', 'Ġthe'],
      'test.integers': [-1, 0, 7],
      'test.floats': [0.5, -2],
      'test.bools': [true, false],
      'test.nested': [[1, 2], [3]],
    });
    close();
  });

  it('reads version 2, tensors in any order and with gaps, and parts of a tensor', () => {
    const path = join(directory, 'v2.gguf');
    const tensors = [
      { name: 'b', shape: [2], data: f32Bytes([5, 6]), offset: 128 },
      { name: 'a', shape: [2, 2], data: f32Bytes([1, 2, 3, 4]), offset: 0 },
    ];
    writeFileSync(path, ggufBytes({ version: 2, tensors }));
    const file = openGguf(openByteSource(path, 'gguf'));
    expect([...file.tensors.keys()]).toEqual(['b', 'a']);
    const out = new Float32Array(2);
    file.read(file.tensors.get('a')!, 2, out);
    expect([...out]).toEqual([3, 4]);
    file.read(file.tensors.get('b')!, 0, out);
    expect([...out]).toEqual([5, 6]);
    file.close();
  });

  it('reads strings and arrays that are longer than its window', () => {
    const long = 'ä'.repeat(400_000);
    const words = Array.from({ length: 50_000 }, (_, i) => `word ${i}`);
    const { metadata } = parse({
      keys: [
        ['long', 8, long],
        ['words', 9, [8, words]],
        ['last', 4, 7],
      ],
    });
    expect(metadata.get('long')).toBe(long);
    expect(metadata.get('words')).toEqual(words);
    expect(metadata.get('last')).toBe(7);
  });

  it('says why it cannot open a file', () => {
    expect(() => openGguf(openByteSource(join(directory, 'none.gguf'), 'gguf'))).toThrow(
      /^\[gguf\] cannot read .*none\.gguf: ENOENT/,
    );
    expect(() => openGguf(openByteSource(directory, 'gguf'))).toThrow(FormatError);
  });
});

/** Bytes 0 - 23 are magic, version and the two counts; a key begins at byte 24. */
const AFTER_KEY_A = 24 + 8 + 1 + 4;

describe('a wrong file', () => {
  const tensor = { name: 't', shape: [4], data: f32Bytes([1, 2, 3, 4]) };
  const cases: [what: string, file: GgufFileBytes | Buffer, message: RegExp][] = [
    [
      'empty',
      Buffer.alloc(0),
      /at byte 0: the magic number "GGUF": expected 4 bytes, found the end of the file after 0/,
    ],
    ['of another format', { magic: 'GGML' }, /at byte 0: expected the magic number "GGUF", found 0x4c4d4747/],
    ['of version 1', { version: 1 }, /at byte 4: .*version 2 or 3, found version 1\./],
    ['big-endian', { version: 0x03000000 }, /at byte 4: .*found a big-endian file/],
    [
      'an absurd number of tensors',
      { tensorCount: 2n ** 63n },
      /at byte 8: .*at most 65536, found 9223372036854775808/,
    ],
    ['more tensors than bytes', { tensorCount: 60_000 }, /at byte 8: the number of tensors: expected 1920000 bytes/],
    ['an absurd number of keys', { keyCount: 10n ** 6n }, /at byte 16: .*at most 65536, found 1000000/],
    ['a key of no end', keyOf(u64(2n ** 40n)), /at byte 24: the length of key 1 of 1: expected at most 65535/],
    ['a type of values', { keys: [['a', 13, Buffer.alloc(8)]] }, /at byte 33: key "a": .*from 0 to 12, found 13/],
    ['a BOOL of 2', { keys: [['a', 7, 2]] }, new RegExp(`at byte ${AFTER_KEY_A}: key "a": expected a BOOL.*found 2`)],
    [
      'a string behind the end',
      keyOf(string('a'), u32(8), u64(99)),
      /at byte 37: the length of key "a": expected 99 bytes/,
    ],
    [
      'a string of no end',
      keyOf(string('a'), u32(8), u64(2n ** 60n)),
      /the length of key "a": expected at most 67108864/,
    ],
    ['no UTF-8', { keys: [['a', 8, Buffer.from([0xff, 0xfe])]] }, /at byte 45: key "a": expected text in UTF-8/],
    [
      'an array of no end',
      keyOf(string('a'), u32(9), u32(0), u64(2n ** 50n)),
      /elements of key "a": expected at most 4194304/,
    ],
    [
      'an array behind the end',
      keyOf(string('a'), u32(9), u32(12), u64(1000)),
      /elements of key "a": expected 8000 bytes/,
    ],
    [
      'an array of a wrong type',
      keyOf(string('a'), u32(9), u32(77), u64(0)),
      /type of elements from 0 to 12, found 77/,
    ],
    [
      'arrays in arrays in arrays',
      { keys: [['a', 9, nested(5)]] },
      /key "a": expected at most 4 arrays in one another/,
    ],
    [
      'a key twice',
      {
        keys: [
          ['a', 4, 1],
          ['a', 4, 2],
        ],
      },
      /at byte 54: key "a" is there twice/,
    ],
    [
      'alignment 0',
      { keys: [['general.alignment', 4, 0]] },
      /key "general.alignment": expected a power of two.*found 0/,
    ],
    ['alignment 48', { keys: [['general.alignment', 4, 48]] }, /expected a power of two up to 65536, found 48/],
    [
      'alignment of text',
      { keys: [['general.alignment', 8, '32']] },
      /expected a power of two up to 65536, found "32"/,
    ],
    ['no dimension', { tensors: [{ ...tensor, shape: [] }] }, /tensor "t": expected 1 to 4 dimensions, found 0/],
    ['5 dimensions', { tensors: [{ ...tensor, shape: [1, 1, 1, 1, 4] }] }, /expected 1 to 4 dimensions, found 5/],
    ['a dimension of 0', { tensors: [{ ...tensor, shape: [4, 0] }] }, /tensor "t": expected a dimension of at least 1/],
    [
      'a dimension of 2^60',
      { tensors: [{ ...tensor, shape: [2 ** 60] }] },
      /a dimension of tensor "t": expected at most/,
    ],
    [
      'dimensions that overflow',
      { tensors: [{ ...tensor, shape: [2 ** 40, 2 ** 40] }] },
      /tensor "t": expected rows of/,
    ],
    [
      'a row of half a block',
      { tensors: [{ ...tensor, type: 2, shape: [48] }] },
      /whole blocks of 32 elements.*\[48\]/,
    ],
    [
      'a type that is not read',
      { tensors: [{ ...tensor, type: 17 }] },
      /at byte 45: tensor "t" has the type IQ2_XS \(17\): .*TQ2_0/,
    ],
    [
      'a type of nobody',
      { tensors: [{ ...tensor, type: 999 }] },
      /tensor "t" has the type 999: expected one of F32, F16/,
    ],
    [
      'a place out of line',
      { tensors: [{ ...tensor, offset: 16 }] },
      /expected a place that is a multiple of 32, found 16/,
    ],
    ['a tensor twice', { tensors: [tensor, tensor] }, /tensor "t" is there twice/],
    [
      'a long name',
      { tensors: [{ ...tensor, name: 'x'.repeat(65) }] },
      /the name of tensor 1 of 1: expected at most 64/,
    ],
    [
      'a tensor behind the end',
      { tensors: [{ ...tensor, shape: [400] }] },
      /at byte 24: tensor "t" leaves the file: expected 1600/,
    ],
    [
      'overlapping tensors',
      {
        tensors: [
          { ...tensor, shape: [9], data: f32Bytes(Array(9).fill(0)) },
          { ...tensor, name: 'u', offset: 32 },
        ],
      },
      /tensor "u" overlaps "t": expected a place from 36 on, found 32/,
    ],
  ];
  for (const [what, file, message] of cases) {
    it(`${what} is a FormatError that names the place`, () => {
      const bytes = Buffer.isBuffer(file) ? file : ggufBytes(file);
      expect(() => parseGgufHeader(memorySource(bytes))).toThrow(FormatError);
      expect(() => parseGgufHeader(memorySource(bytes))).toThrow(message);
    });
  }

  it.each(oneElementArrays())('an array of the type $type as alignment is a FormatError', ({ bytes }) => {
    const file = ggufBytes({ keys: [['general.alignment', 9, bytes]] });
    expect(() => parseGgufHeader(memorySource(file))).toThrow(FormatError);
    expect(() => parseGgufHeader(memorySource(file))).toThrow(
      /expected a power of two up to 65536, found a list of 1\./,
    );
  });

  it('is refused wherever it is cut', () => {
    const bytes = ggufBytes({ keys: [['a', 9, [8, ['x', 'yz']]]], tensors: [tensor] });
    for (let length = 0; length < bytes.length - 16; length++) {
      expect(() => parseGgufHeader(memorySource(bytes.subarray(0, length))), `${length} bytes`).toThrow(FormatError);
    }
  });

  it('has no more elements in its arrays together than one array may have', () => {
    const many = Buffer.alloc(GGUF_LIMITS.arrayElements / 2 + 1);
    const array = Buffer.concat([u32(0), u64(many.length), many]);
    expect(() =>
      parse({
        keys: [
          ['a', 9, array],
          ['b', 9, array],
        ],
      }),
    ).toThrow(/key "b": expected at most 4194304 elements in all arrays/);
  });
});

function parse(file: GgufFileBytes) {
  return parseGgufHeader(memorySource(ggufBytes(file)));
}

/** A file of one key, whose bytes are given. */
function keyOf(...parts: Buffer[]): Buffer {
  return Buffer.concat([ggufBytes({ keyCount: 1 }).subarray(0, 24), ...parts, Buffer.alloc(64)]);
}

/** Arrays of one element in one another. */
function nested(depth: number): [number, unknown[]] {
  return depth === 1 ? [4, [1]] : [9, [nested(depth - 1)]];
}
