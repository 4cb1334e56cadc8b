import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { openLlama2c } from './llama2c.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-llama2c-'));
afterAll(() => rmSync(directory, { recursive: true }));

const SIZES = [4, 6, 2, 2, 1, 5, 3]; // dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len
/** embedding, att norms, q, k, v, o, ffn norms, gate, down, up, norm, cos and sin. */
const OLD_FLOATS = 20 + 8 + 32 + 16 + 16 + 32 + 8 + 48 + 48 + 48 + 4 + 3 + 3;

function write(header: Buffer, floats: number): string {
  const path = join(directory, 'model.bin');
  writeFileSync(path, Buffer.concat([header, Buffer.from(Float32Array.from({ length: floats }, (_, i) => i).buffer)]));
  return path;
}

function oldHeader(sizes = SIZES): Buffer {
  return Buffer.from(Int32Array.from(sizes).buffer);
}

function newHeader(version: number, shared: number): Buffer {
  const header = Buffer.alloc(256);
  header.write('24ka', 'latin1'); // export.py writes 0x616b3432 little-endian
  header.writeInt32LE(version, 4);
  for (const [i, size] of SIZES.entries()) header.writeInt32LE(size, 8 + 4 * i);
  header.writeUInt8(shared, 36);
  return header;
}

/** The first number of a tensor, and of its second layer. */
function firsts(path: string): Record<string, number[]> {
  const file = openLlama2c(path);
  const found = [...file.tensors.values()].map((tensor) => {
    const out = new Float32Array(1);
    const starts = tensor.layers === 2 ? [0, tensor.rows * tensor.cols] : [0];
    const numbers = starts.map((first) => {
      file.read(tensor, first, out);
      return out[0];
    });
    return [tensor.name, numbers];
  });
  file.close();
  return Object.fromEntries(found) as Record<string, number[]>;
}

describe('openLlama2c', () => {
  it('finds the tensors of the old layout, layer by layer; a negative vocabulary has a classifier of its own', () => {
    expect(firsts(write(oldHeader(), OLD_FLOATS))).toEqual({
      ...{
        embedding: [0],
        attentionNorm: [20, 24],
        q: [28, 44],
        k: [60, 68],
        v: [76, 84],
        o: [92, 108],
        ffnNorm: [124, 128],
      },
      ...{ gate: [132, 156], down: [180, 204], up: [228, 252], norm: [276], cos: [280], sin: [283] },
    });
    const untied = write(oldHeader(SIZES.with(5, -5)), OLD_FLOATS + 20);
    expect(firsts(untied).head).toEqual([286]);
    expect(openLlama2c(untied).sizes).toMatchObject({ vocabSize: 5, tied: false });
  });

  it('finds those of version 1: norms first, no angles', () => {
    expect(firsts(write(newHeader(1, 0), OLD_FLOATS - 6 + 20))).toEqual({
      ...{
        attentionNorm: [0, 4],
        ffnNorm: [8, 12],
        norm: [16],
        embedding: [20],
        q: [40, 56],
        k: [72, 80],
        v: [88, 96],
      },
      ...{ o: [104, 120], gate: [136, 160], down: [184, 208], up: [232, 256], head: [280] },
    });
    expect(openLlama2c(write(newHeader(1, 1), OLD_FLOATS - 6)).sizes.tied).toBe(true);
  });

  const cases: [what: string, path: () => string, message: RegExp][] = [
    ['an empty file', () => write(Buffer.alloc(0), 0), /expected a header of 28 bytes, found 0/],
    [
      'a truncated file',
      () => write(oldHeader(), OLD_FLOATS - 1),
      /expected the 1172 bytes of dim 4, hidden_dim 6.*found 1168/,
    ],
    ['bytes behind the end', () => write(oldHeader(), OLD_FLOATS + 1), /expected the 1172 bytes.*found 1176/],
    [
      'a negative extent',
      () => write(oldHeader(SIZES.with(1, -6)), 9),
      /at byte 4: hidden_dim: expected 1 to 131072, found -6/,
    ],
    ['the smallest vocabulary', () => write(oldHeader(SIZES.with(5, -(2 ** 31))), 9), /at byte 20: vocab_size/],
    [
      'text',
      () => write(Buffer.from('Once upon a time there was a girl'), 0),
      /at byte 0: dim: .*Is it a llama2\.c checkpoint/,
    ],
    ['heads that do not divide', () => write(oldHeader(SIZES.with(3, 3)), 9), /expected heads of an even width/],
    ['8 bits', () => write(newHeader(2, 1), 9), /at byte 4: expected version 1 \(f32\), found 2/],
    ['a short new header', () => write(newHeader(1, 1).subarray(0, 40), 0), /expected a header of 256 bytes, found 40/],
  ];
  for (const [what, path, message] of cases) {
    it(`refuses ${what}`, () => {
      const file = path();
      expect(() => openLlama2c(file)).toThrow(FormatError);
      expect(() => openLlama2c(file)).toThrow(message);
    });
  }
});
