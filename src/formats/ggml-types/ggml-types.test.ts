import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readArrays } from '../../../test/golden/golden-file.ts';
import { openGguf } from '../gguf.ts';
import { openByteSource } from '../open-byte-source.ts';
import { Q4_0 } from './small-block-types.ts';
import { TQ1_0, TQ2_0 } from './ternary-types.ts';

/** Written and unpacked by llama.cpp's own Python package: test/golden/make-gguf-types.py. */
const DATA = join(import.meta.dirname, '../../../test/golden/data');
const expected = readArrays(join(DATA, 'gguf-types.safetensors'));

describe('dequantize', () => {
  for (const [name, { shape, data }] of expected) {
    it(`${name}: every number is that of the package gguf, bit by bit`, () => {
      const file = openGguf(openByteSource(join(DATA, 'gguf-types.gguf'), 'gguf'));
      const tensor = file.tensors.get(name)!;
      expect([...tensor.shape].reverse()).toEqual(shape);
      const got = new Float32Array(tensor.elements);
      file.read(tensor, 0, got);
      expect(bitsOf(got)).toEqual(bitsOf(data as Float32Array));
      // A part, from another block on.
      const part = new Float32Array(512);
      file.read(tensor, 1024, part);
      expect(bitsOf(part)).toEqual(bitsOf(data.slice(1024, 1536) as Float32Array));
      file.close();
    });
  }

  it('has numbers worked out by hand', () => {
    // Scale 1.0 (0x3c00); weight 0 from the lower, weight 16 from the upper half of byte 0.
    const block = new Uint8Array(18);
    block.set([0x00, 0x3c, 0xf0]);
    const out = new Float32Array(32);
    Q4_0.dequantize(block, out);
    expect([out[0], out[16], out[1]]).toEqual([-8, 7, -8]);

    // Scale -2.0 (0xc000); codes 0, 1, 2 of byte 0 are weights 0, 32, 64.
    const ternary = new Uint8Array(66);
    ternary.set([0b100100], 0);
    ternary.set([0x00, 0xc0], 64);
    const weights = new Float32Array(256);
    TQ2_0.dequantize(ternary, weights);
    expect([weights[0], weights[32], weights[64]]).toEqual([2, -0, -2]);

    // The digits 2, 1, 0, 0, 0: ceil(256 (2/3 + 1/9)) = 200.
    const thirds = new Uint8Array(54);
    thirds.set([200], 0);
    thirds.set([0x00, 0x3c], 52);
    TQ1_0.dequantize(thirds, weights);
    expect([weights[0], weights[32], weights[64], weights[96], weights[128]]).toEqual([1, 0, -1, -1, -1]);
  });
});

function bitsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}
