/**
 * Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and IQ4_NL: blocks of 32 weights with one scale (f16), and in the _1 types one minimum (f16).
 *
 * Half a byte a weight: byte j holds weight j in its lower half and weight j + 16 in its upper one; of 5 bits the fifth stands in a word of 32, bit
 * i for weight i. A product of an f16 with a small integer is exact in f32, so that each number here is rounded at most once, as in ggml.
 * Source: ggml, src/ggml-quants.c, `dequantize_row_*`.
 */

import type { GgmlType } from './ggml-type.ts';
import { halfAt } from './half.ts';

const BLOCK = 32;
const HALF = 16;

function blocksOf32(name: string, id: number, blockBytes: number, dequantize: GgmlType['dequantize']): GgmlType {
  return { name, id, blockElements: BLOCK, blockBytes, dequantize };
}

export const Q4_0 = blocksOf32('Q4_0', 2, 18, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 18) {
    const scale = halfAt(bytes, at);
    for (let j = 0; j < HALF; j++) {
      const pair = bytes[at + 2 + j];
      out[first + j] = scale * ((pair & 15) - 8);
      out[first + HALF + j] = scale * ((pair >> 4) - 8);
    }
  }
});

export const Q4_1 = blocksOf32('Q4_1', 3, 20, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 20) {
    const scale = halfAt(bytes, at);
    const minimum = halfAt(bytes, at + 2);
    for (let j = 0; j < HALF; j++) {
      const pair = bytes[at + 4 + j];
      out[first + j] = scale * (pair & 15) + minimum;
      out[first + HALF + j] = scale * (pair >> 4) + minimum;
    }
  }
});

export const Q5_0 = blocksOf32('Q5_0', 6, 22, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 22) {
    const scale = halfAt(bytes, at);
    const fifths = wordAt(bytes, at + 2);
    for (let j = 0; j < HALF; j++) {
      const pair = bytes[at + 6 + j];
      out[first + j] = scale * (((pair & 15) | (((fifths >>> j) & 1) << 4)) - 16);
      out[first + HALF + j] = scale * (((pair >> 4) | (((fifths >>> (j + HALF)) & 1) << 4)) - 16);
    }
  }
});

export const Q5_1 = blocksOf32('Q5_1', 7, 24, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 24) {
    const scale = halfAt(bytes, at);
    const minimum = halfAt(bytes, at + 2);
    const fifths = wordAt(bytes, at + 4);
    for (let j = 0; j < HALF; j++) {
      const pair = bytes[at + 8 + j];
      out[first + j] = scale * ((pair & 15) | (((fifths >>> j) & 1) << 4)) + minimum;
      out[first + HALF + j] = scale * ((pair >> 4) | (((fifths >>> (j + HALF)) & 1) << 4)) + minimum;
    }
  }
});

export const Q8_0 = blocksOf32('Q8_0', 8, 34, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 34) {
    const scale = halfAt(bytes, at);
    for (let j = 0; j < BLOCK; j++) out[first + j] = scale * ((bytes[at + 2 + j] << 24) >> 24);
  }
});

/** Near the quantiles of a normal distribution instead of evenly spaced. */
const IQ4_NL_VALUES = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

export const IQ4_NL = blocksOf32('IQ4_NL', 20, 18, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 18) {
    const scale = halfAt(bytes, at);
    for (let j = 0; j < HALF; j++) {
      const pair = bytes[at + 2 + j];
      out[first + j] = scale * IQ4_NL_VALUES[pair & 15];
      out[first + HALF + j] = scale * IQ4_NL_VALUES[pair >> 4];
    }
  }
});

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
