import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { readPlainPacked } from '../../test/support/plain-packed-reader.ts';
import { FormatError } from '../util/errors.ts';
import { createPacked, openPacked, type PlannedTensor } from './packed-file.ts';
import type { PackedMatrix } from './packed-metadata.ts';
import { openSafetensors } from './safetensors.ts';

let path: string;
beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'qsparse-packed-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  path = join(directory, 'model.safetensors');
});

const rows = (name: string, count: number, rowBytes: number): PlannedTensor => {
  return { name, dtype: 'U8', shape: [count, rowBytes], bytes: count * rowBytes };
};
const numbers = (name: string, length: number): PlannedTensor => {
  return { name, dtype: 'F32', shape: [length], bytes: 4 * length };
};
const matrix = (tensor: string, count: number, cols: number): PackedMatrix => {
  return { dtype: 'f32', rows: count, cols, tensor, firstByte: 0, scale: null, scaleAxis: 'cols', groupRows: count };
};

/** Two matrices, the second large enough to be worth a page, and two vectors of odd lengths. */
const TENSORS = [rows('a', 3, 64), rows('b', 80, 1088), numbers('x', 5), numbers('y', 3)];
const DESCRIPTION = {
  step: 3,
  matrices: new Map([
    ['a', matrix('a', 3, 9)],
    ['b', matrix('b', 80, 260)],
  ]),
};
const contentOf = ({ name, bytes }: PlannedTensor) =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + name.charCodeAt(0)) & 0xff);

function write(order: readonly PlannedTensor[] = TENSORS): number {
  const writer = createPacked(path, TENSORS, DESCRIPTION);
  for (const tensor of order) writer.write(tensor.name, contentOf(tensor));
  writer.finish();
  writer.close();
  return writer.fileBytes;
}

describe('createPacked', () => {
  it('writes what a plain reader finds: every byte, lines and pages kept, hashes of all', () => {
    expect(write()).toBe(readFileSync(path).length);
    const plain = readPlainPacked(path);
    expect(plain.metadata).toMatchObject({ format: 'qsparse-packed', formatVersion: '1', step: '3' });
    for (const tensor of TENSORS) {
      const { begin, end, shape, dtype } = plain.tensors[tensor.name];
      expect({ shape, dtype }).toEqual({ shape: tensor.shape, dtype: tensor.dtype });
      expect(begin % 64).toBe(0);
      expect(readFileSync(path).subarray(begin, end).equals(contentOf(tensor))).toBe(true);
    }
    expect(plain.tensors.a.begin).toBe(4096);
    expect(plain.tensors.b.begin).toBe(8192);
    expect(plain.damaged()).toEqual([]);
    expect(Object.keys(plain.matrices)).toEqual(['a', 'b']);
  });

  it('writes the same file in whatever order tensors come', () => {
    write();
    const once = readFileSync(path);
    write([...TENSORS].reverse());
    expect(readFileSync(path).equals(once)).toBe(true);
  });

  it('is a safetensors file like others', () => {
    write();
    const file = openSafetensors(path);
    expect(new Uint8Array(file.tensor('x').data.buffer as ArrayBuffer)).toEqual(contentOf(TENSORS[2]));
    file.close();
  });

  it('refuses a file that lacks a tensor, bytes that do not fit, a tensor that comes twice', () => {
    const writer = createPacked(path, TENSORS, DESCRIPTION);
    writer.write('a', contentOf(TENSORS[0]));
    expect(() => writer.finish()).toThrow(/not written: b, x, y/);
    expect(() => writer.write('a', contentOf(TENSORS[0]))).toThrow(/tensor "a"/);
    expect(() => writer.write('b', new Uint8Array(3))).toThrow(/tensor "b": expected 87040 bytes, got 3/);
    writer.close();
    // The header is written last: until then nobody takes the file for a model.
    expect(() => openPacked(path)).toThrow(FormatError);
    expect(() => createPacked(join(path, 'below'), TENSORS, DESCRIPTION)).toThrow(/\[packed\] cannot write .*below/);
  });
});

describe('openPacked', () => {
  it('gives what was described, and bytes from any place', () => {
    write();
    const file = openPacked(path);
    expect(file.step).toBe(3);
    expect(file.matrices).toEqual(DESCRIPTION.matrices);
    const part = new Uint8Array(100);
    file.read(file.tensors.get('b')!.byteOffset + 50, part);
    expect(part).toEqual(contentOf(TENSORS[1]).slice(50, 150));
    for (const name of file.tensors.keys()) file.verify(name);
    file.close();
  });

  it('finds one changed bit, and tells file, tensor, offset and both hashes', () => {
    write();
    const bytes = readFileSync(path);
    bytes[8192 + 87039] ^= 1;
    writeFileSync(path, bytes);
    const file = openPacked(path);
    file.verify('a');
    expect(() => file.verify('b')).toThrow(FormatError);
    expect(() => file.verify('b')).toThrow(
      /model\.safetensors: tensor "b" at byte 8192: expected the sha256 [0-9a-f]{64}, found [0-9a-f]{64}\. It is damaged/,
    );
    file.close();
  });

  it('refuses what is cut short or goes on, wherever', () => {
    const size = write();
    const whole = readFileSync(path);
    for (const bytes of [0, 7, 8, 500, 4095, 4096, 8192, size - 1]) {
      writeFileSync(path, whole);
      truncateSync(path, bytes);
      expect(() => openPacked(path), `${bytes} bytes`).toThrow(FormatError);
    }
    writeFileSync(path, whole);
    appendFileSync(path, 'x');
    expect(() => openPacked(path)).toThrow(/expected nothing behind them/);
    rmSync(path);
    expect(() => openPacked(path)).toThrow(/cannot read .*ENOENT/);
  });

  it('never reads beyond a file that shrank after it was opened', () => {
    write();
    const file = openPacked(path);
    truncateSync(path, 9000);
    expect(() => file.verify('b')).toThrow(/ends at byte 9000: expected \d+ more bytes/);
    file.close();
  });
});
