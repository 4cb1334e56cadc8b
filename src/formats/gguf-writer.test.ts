import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeNumbers } from '../export/encode-numbers.ts';
import { createGguf, encodeGgufHeader, type GgufTensor, type GgufValue } from './gguf-writer.ts';

/** Made by test/golden/make-gguf-writer-golden.py. */
const GOLDEN = fileURLToPath(new URL('../../test/golden/data/gguf-writer.gguf', import.meta.url));

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-gguf-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** The formula of the generator. */
function numbers(count: number): Float32Array {
  const x = Float32Array.from({ length: count }, (_, i) => (((i * 7919) % 2003) - 1001) / 512);
  x.fill(0, 32, 64);
  for (let i = 64; i < Math.min(96, count); i++) x[i] = (i - 80) / 2;
  if (count > 64) x[64] = 127;
  return x;
}

const METADATA = new Map<string, GgufValue>([
  ['general.architecture', { string: 'llama' }],
  ['general.name', { string: 'naïve 漢字' }],
  ['llama.block_count', { u32: 3 }],
  ['llama.attention.layer_norm_rms_epsilon', { f32: 1e-5 }],
  ['tokenizer.ggml.add_bos_token', { bool: false }],
  ['tokenizer.ggml.tokens', { strings: ['a', 'Ġthe', '', '🙂'] }],
  ['tokenizer.ggml.token_type', { i32s: [1, 3, -4, 5] }],
]);

const TENSORS: readonly GgufTensor[] = [
  { name: 'token_embd.weight', type: 'f32', shape: [5, 96] },
  { name: 'norm.weight', type: 'f32', shape: [7] },
  { name: 'half.weight', type: 'f16', shape: [3, 65] },
  { name: 'blk.0.ffn_up_exps.weight', type: 'q8_0', shape: [2, 3, 64] },
];

const bytesOf = ({ type, shape }: GgufTensor) =>
  encodeNumbers(type, numbers(shape.reduce((product, extent) => product * extent, 1))).bytes;

describe('encodeGgufHeader', () => {
  it('writes the same behind a text of any length, wherever its memory has to grow', () => {
    const behind = (length: number) => {
      const text: [string, GgufValue] = ['text', { string: 'x'.repeat(length) }];
      const header = encodeGgufHeader(new Map([text, ...METADATA]), TENSORS);
      const begin = 24 + (8 + 'text'.length) + 4 + 8 + length; // magic, version and counts; key, type and length of the text
      return header.subarray(begin, begin + 500);
    };
    const expected = behind(0);
    for (let length = 2 ** 16 - 600; length <= 2 ** 16; length++) {
      if (!Buffer.from(behind(length)).equals(expected)) expect.fail(`another header behind ${length} bytes`);
    }
  });
});

describe('createGguf', () => {
  it('writes what the gguf package of Python writes, byte by byte, whatever the pieces', () => {
    const path = join(directory, 'all.gguf');
    const writer = createGguf(path, METADATA, TENSORS);
    for (const tensor of TENSORS) {
      const bytes = bytesOf(tensor);
      for (let first = 0; first < bytes.length; first += 100) writer.write(bytes.subarray(first, first + 100));
    }
    writer.finish();
    writer.close();
    const written = readFileSync(path);
    expect(written.length).toBe(writer.fileBytes);
    expect(written.equals(readFileSync(GOLDEN))).toBe(true);
    const inOnePiece = createGguf(path, METADATA, TENSORS);
    inOnePiece.write(Buffer.concat(TENSORS.map(bytesOf)));
    inOnePiece.finish();
    inOnePiece.close();
    expect(readFileSync(path).equals(written)).toBe(true);
  });

  it('refuses tensors that no reader would take, bytes that were not told, and an end before the end', () => {
    const path = join(directory, 'refused.gguf');
    const tensor = (name: string, type: GgufTensor['type'] = 'f32', shape = [4]) => ({ name, type, shape });
    const start = (...tensors: GgufTensor[]) => createGguf(path, new Map(), tensors);
    expect(() => start(tensor('a'), tensor('a'))).toThrow(/tensor "a": the name is used twice/);
    expect(() => start(tensor('x'.repeat(64)))).toThrow(/at most 63 bytes/);
    expect(() => start(tensor('a', 'q8_0', [2, 48]))).toThrow(/blocks of 32: .*got 48/);
    const writer = start(tensor('a'));
    writer.write(new Uint8Array(15));
    expect(() => writer.finish()).toThrow(/1 bytes of tensor 0 were not written/);
    expect(() => writer.write(new Uint8Array(2))).toThrow(/expected no more bytes, got 1/);
    writer.close();
  });
});
