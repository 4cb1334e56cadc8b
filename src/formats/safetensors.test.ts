import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { sharedPath } from '../../test/golden/golden-file.ts';
import { FormatError } from '../util/errors.ts';
import type { TensorEntry } from './safetensors.ts';
import { createSafetensors, openSafetensors, readSafetensorsHeader, writeSafetensors } from './safetensors.ts';
import { MAX_HEADER_BYTES } from './safetensors-header.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-safetensors-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'test.safetensors');
const golden = sharedPath('golden/qsparse_layer');

/** A file written by hand: this header, these bytes behind it. */
function file(header: unknown, data: Uint8Array | number[], text = JSON.stringify(header)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([length, Buffer.from(text), Buffer.from(data)]);
}

function readBack(bytes: Uint8Array): TensorEntry[] {
  writeFileSync(path, bytes);
  const opened = openSafetensors(path);
  try {
    return [...opened.tensors.keys()].map((name) => opened.tensor(name));
  } finally {
    opened.close();
  }
}

const f32 = (shape: number[], begin: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

describe('reading', () => {
  it('reads the example of the format, with data that is not aligned', () => {
    const values = Buffer.alloc(12);
    values.writeFloatLE(1.5, 0);
    values.writeFloatLE(-2, 4);
    values.writeFloatLE(Number.NaN, 8);
    for (const padding of ['', ' ', '  ', '   ']) {
      const text = JSON.stringify({ a: { dtype: 'U8', shape: [3], data_offsets: [0, 3] }, b: f32([1, 3], 3, 15) });
      const [a, b] = readBack(file(null, [7, 8, 255, ...values], text + padding));
      expect(a).toEqual({ name: 'a', dtype: 'U8', shape: [3], data: Uint8Array.of(7, 8, 255) });
      expect(b).toEqual({ name: 'b', dtype: 'F32', shape: [1, 3], data: Float32Array.of(1.5, -2, Number.NaN) });
    }
  });

  it('reads empty tensors, scalars, unusual names and metadata', () => {
    const bytes = file(
      { __metadata__: { format: 'pt' }, __proto: f32([0, 5], 0, 0), constructor: f32([], 0, 4), 'é "': f32([0], 4, 4) },
      [0, 0, 128, 63],
    );
    const tensors = readBack(bytes);
    expect(tensors.map(({ name, data }) => [name, [...data]])).toEqual([
      ['__proto', []],
      ['constructor', [1]],
      ['é "', []],
    ]);
    expect(readSafetensorsHeader(path).metadata).toEqual({ format: 'pt' });
    expect(readBack(file({}, []))).toEqual([]);
  });

  const u8 = (begin: unknown, end: unknown, shape: unknown = [4], dtype: unknown = 'U8') => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  });
  const hostile: [string, Buffer, RegExp][] = [
    ['an empty file', Buffer.alloc(0), /expected a header length of 8 bytes, found a file of 0/],
    ['a cut length', Buffer.alloc(5), /found a file of 5/],
    [
      'a huge header',
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 128]),
      /at most 100000000 bytes, found a length of 9223372036854775808/,
    ],
    ['a header that leaves the file', file({}, []).subarray(0, 9), /header of 2 bytes leaves the file of 9/],
    ['no JSON', file(null, [], '{"a":'), /at byte 8: expected a header in JSON/],
    ['no UTF-8', file(null, [], '{"\u00e9":1}').fill(0xff, 10, 11), /at byte 8: expected a header in JSON/],
    ['an array', file([], []), /expected a JSON object, found \[\]/],
    ['a deep header', file(null, [], '['.repeat(1e6)), /expected a header in JSON/],
    [
      'a repeated name',
      file(null, [1], `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{}}`),
      /key "a" twice/,
    ],
    [
      'a repeated field',
      file(null, [1], `{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}`),
      /key "shape" twice/,
    ],
    [
      'metadata of numbers',
      file({ __metadata__: { a: 1 } }, []),
      /__metadata__: expected an object of strings, found {"a":1}/,
    ],
    ['a tensor that is null', file({ a: null }, []), /tensor "a": expected an object .*, found null/],
    [
      'an unknown dtype',
      file({ a: u8(0, 4, [4], 'Q8') }, [1, 2, 3, 4]),
      /tensor "a": expected a dtype of .*, found "Q8"/,
    ],
    ['an inherited dtype', file({ a: u8(0, 4, [4], 'toString') }, [1, 2, 3, 4]), /found "toString"/],
    ['no dtype', file({ a: { shape: [4], data_offsets: [0, 4] } }, [1, 2, 3, 4]), /found nothing/],
    ['a negative extent', file({ a: u8(0, 4, [-4]) }, [1, 2, 3, 4]), /whole numbers, found \[-4\]/],
    ['a fractional extent', file({ a: u8(0, 4, [4.5]) }, [1, 2, 3, 4]), /whole numbers, found \[4.5\]/],
    ['too many extents', file({ a: u8(0, 1, new Array(33).fill(1)) }, [1]), /at most 32 whole numbers/],
    [
      'an overflowing shape',
      file({ a: u8(0, 4, [2 ** 40, 2 ** 40]) }, [1, 2, 3, 4]),
      /has 1.2\d*e\+24 bytes, found data_offsets of 4/,
    ],
    [
      'a size that does not fit',
      file({ a: u8(0, 3) }, [1, 2, 3]),
      /U8 \[4\] has 4 bytes, found data_offsets of 3 at byte \d+/,
    ],
    ['offsets in reverse', file({ a: u8(4, 0, [0]) }, [1, 2, 3, 4]), /has 0 bytes, found data_offsets of -4/],
    [
      'one offset',
      file({ a: { dtype: 'U8', shape: [], data_offsets: [0] } }, [1]),
      /data_offsets of two whole numbers/,
    ],
    ['text as offsets', file({ a: u8('0', '4') }, [1, 2, 3, 4]), /data_offsets of two whole numbers/],
    [
      'an offset out of range',
      file({ a: u8(2 ** 52, 2 ** 52 + 4) }, [1, 2, 3, 4]),
      /leaves a hole .*: expected it at byte \d+, found byte/,
    ],
    [
      'an overlap',
      file({ a: u8(0, 4), b: u8(2, 6) }, [1, 2, 3, 4, 5, 6]),
      /tensor "b" overlaps .*: expected it at byte \d+/,
    ],
    ['a hole', file({ a: u8(0, 4), b: u8(5, 9) }, new Uint8Array(9)), /tensor "b" leaves a hole/],
    [
      'a truncated tensor',
      file({ a: u8(0, 4) }, [1, 2]),
      /tensor "a" leaves the file: expected at least \d+ bytes, found/,
    ],
    ['bytes behind the tensors', file({ a: u8(0, 4) }, new Uint8Array(9)), /expected nothing behind them/],
  ];
  it.each(hostile)('refuses %s', (_, bytes, message) => {
    expect(() => readBack(bytes)).toThrow(FormatError);
    expect(() => readBack(bytes)).toThrow(message);
    expect(() => readBack(bytes)).toThrow(path);
  });

  it('does not read a header above the limit', () => {
    const bytes = Buffer.alloc(16, ' ');
    bytes.writeBigUInt64LE(BigInt(MAX_HEADER_BYTES) + 1n);
    expect(() => readBack(bytes)).toThrow(/at most 100000000/);
  });

  it('names a file or a tensor that is missing, and a file that shrank', () => {
    expect(() => openSafetensors(join(directory, 'none'))).toThrow(FormatError);
    expect(() => openSafetensors(directory)).toThrow(FormatError);
    writeFileSync(path, file({ a: f32([1], 0, 4) }, [0, 0, 0, 0]));
    const opened = openSafetensors(path);
    expect(() => opened.tensor('b')).toThrow(/no tensor "b": expected one of a\./);
    writeFileSync(path, '');
    expect(() => opened.tensor('a')).toThrow(/ends at byte \d+: expected 4 more bytes/);
    opened.close();
  });

  it('throws nothing but FormatError, whatever the bytes', () => {
    const valid = file(
      { __metadata__: { a: 'b' }, x: f32([2], 0, 8), y: u8(8, 12), z: u8(12, 12, [0]) },
      new Uint8Array(12),
    );
    const mutated = fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const bytes = Buffer.from(valid);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    const cut = fc.nat(valid.length).map((length) => valid.subarray(0, length));
    const headers = fc.json().map((text) => file(null, [1, 2, 3, 4], text));
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated, cut, headers);
    fc.assert(
      fc.property(bytes, (content) => {
        try {
          readBack(content);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 600 },
    );
  });
});

describe('writing', () => {
  const entries: TensorEntry[] = [
    { name: 'bytes', dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
    { name: 'weights', dtype: 'F32', shape: [2, 2], data: Float32Array.of(0.1, -0, Infinity, Number.NaN) },
    { name: 'ids', dtype: 'I32', shape: [2], data: Int32Array.of(-1, 2 ** 31 - 1) },
    { name: 'exact', dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) },
    { name: 'big', dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 63n)) },
    { name: 'halves', dtype: 'BF16', shape: [1, 1], data: Uint16Array.of(0x3f80) },
    { name: 'none', dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
  ];

  it('writes what it reads, every tensor aligned to its elements and the first one to 64 bytes', () => {
    const written = writeSafetensors(path, entries, { made: 'here' });
    expect(statSync(path).size).toBe(written);
    const header = readSafetensorsHeader(path);
    expect(header.dataOffset % 64).toBe(0);
    expect(header.metadata).toEqual({ made: 'here' });
    const opened = openSafetensors(path);
    for (const entry of entries) {
      const read = opened.tensor(entry.name);
      expect(read).toEqual(entry);
      expect(opened.tensors.get(entry.name)!.byteOffset % entry.data.BYTES_PER_ELEMENT).toBe(0);
    }
    expect(Object.is(opened.tensor('weights').data[1], -0)).toBe(true);
    opened.close();
  });

  it('writes views of larger arrays, and tensors of any shape and value', () => {
    const data = fc.float32Array({ maxLength: 40 });
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 8 }), data, { maxKeys: 5 }), (arrays) => {
        const tensors = Object.entries(arrays).map(([name, all]) => {
          const view = all.subarray(all.length >> 1);
          return { name, dtype: 'F32' as const, shape: [1, view.length], data: view };
        });
        writeSafetensors(path, tensors);
        const opened = openSafetensors(path);
        for (const tensor of tensors) expect(opened.tensor(tensor.name)).toEqual(tensor);
        opened.close();
      }),
      { numRuns: 50 },
    );
  });

  it('refuses repeated and reserved names, wrong sizes and wrong arrays', () => {
    const one = (name: string) => ({ name, dtype: 'F32' as const, shape: [1], data: Float32Array.of(1) });
    expect(() => writeSafetensors(path, [one('a'), one('a')])).toThrow(/"a" cannot be written/);
    expect(() => writeSafetensors(path, [one('__metadata__')])).toThrow(FormatError);
    expect(() => writeSafetensors(path, [{ ...one('a'), shape: [2] }])).toThrow(
      /expected 2 elements of 4 bytes .*, got 1/,
    );
    expect(() => writeSafetensors(path, [{ ...one('a'), dtype: 'F64' }])).toThrow(/got 1 of 4 bytes/);
  });

  it.skipIf(!existsSync('/dev/full'))('reports a full disk in one line (/dev/full)', () => {
    expect(() => writeSafetensors('/dev/full', entries)).toThrow(FormatError);
    expect(() => writeSafetensors('/dev/full', entries)).toThrow(
      /^\[safetensors\] cannot write \/dev\/full: ENOSPC[^\n]*$/,
    );
  });
});

describe.skipIf(!existsSync(golden))(`files of the reference library (${golden})`, () => {
  it('reads them and writes the same tensors', () => {
    const names = readdirSync(golden).filter((name) => name.endsWith('.safetensors'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names.slice(0, 3)) {
      const bytes = readFileSync(join(golden, name));
      const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
      const source = openSafetensors(join(golden, name));
      const tensors = [...source.tensors.keys()].map((key) => source.tensor(key));
      source.close();
      expect(tensors.map((tensor) => tensor.name).sort()).toEqual(
        Object.keys(header)
          .filter((key) => key !== '__metadata__')
          .sort(),
      );
      const start = 8 + Number(bytes.readBigUInt64LE());
      for (const { name: key, data } of tensors) {
        const [begin, end] = header[key].data_offsets;
        expect(Buffer.from(data.buffer).equals(bytes.subarray(start + begin, start + end)), key).toBe(true);
      }
      writeSafetensors(path, tensors);
      expect(readBack(readFileSync(path)).length).toBe(tensors.length);
    }
  });
});

describe('createSafetensors', () => {
  const tensors = ['a', 'b'].map((name) => ({ name, dtype: 'F32', shape: [2], bytes: 8 }) as const);
  const bytesOf = (...numbers: number[]) => new Uint8Array(Float32Array.from(numbers).buffer);

  it('writes, tensor by tensor, what writeSafetensors writes at once', () => {
    const entries = [
      { name: 'a', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) },
      { name: 'b', dtype: 'F32', shape: [2], data: Float32Array.of(3, 4) },
    ] as const;
    writeSafetensors(path, entries, { format: 'x' });
    const expected = readFileSync(path);
    const writer = createSafetensors(path, tensors, { format: 'x' });
    writer.append('a', bytesOf(1, 2));
    writer.append('b', bytesOf(3, 4));
    writer.finish();
    writer.close();
    expect(readFileSync(path).equals(expected)).toBe(true);
  });

  it('takes no other tensor, no other size, none twice and no end before the end', () => {
    const writer = createSafetensors(path, tensors);
    expect(() => writer.append('b', bytesOf(3, 4))).toThrow(/expected a of 8 bytes, got b of 8 bytes/);
    expect(() => writer.append('a', bytesOf(1))).toThrow(/expected a of 8 bytes, got a of 4 bytes/);
    writer.append('a', bytesOf(1, 2));
    expect(() => writer.finish()).toThrow(/expected b of 8 bytes, got the end/);
    writer.append('b', bytesOf(3, 4));
    expect(() => writer.append('b', bytesOf(3, 4))).toThrow(/expected the end, got b of 8 bytes/);
    writer.finish();
    writer.close();
  });
});
