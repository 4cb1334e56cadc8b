/**
 * Q4_K, Q5_K and Q6_K: blocks of 256 weights whose smaller groups have scales in integers, under one or two scales of the block (f16).
 *
 * Q4_K and Q5_K: 8 groups of 32 with a scale and a minimum of 6 bits each, w = d scale q - dmin minimum. Q6_K: 16 groups of 16 with a
 * signed byte each, w = d scale (q - 32). d scale and its product with q are exact in f32 (11 + 8 + 5 bits at most), so that a
 * number is rounded once, as in ggml. Source: ggml, src/ggml-quants.c, `dequantize_row_q*_K` and `get_scale_min_k4`.
 */

import type { GgmlType } from './ggml-type.ts';
import { halfAt } from './half.ts';

const BLOCK = 256;

function blocksOf256(name: string, id: number, blockBytes: number, dequantize: GgmlType['dequantize']): GgmlType {
  return { name, id, blockElements: BLOCK, blockBytes, dequantize };
}

/** d, dmin, 12 bytes of scales and minima, 128 bytes of 4 bits: 32 bytes hold one group in their lower and the next in their upper halves. */
export const Q4_K = blocksOf256('Q4_K', 12, 144, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 144) {
    const [d, dmin] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleOf(bytes, at + 4, group);
      const minimum = dmin * minimumOf(bytes, at + 4, group);
      const codes = at + 16 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      const to = first + 32 * group;
      for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[codes + i] >> shift) & 15) - minimum;
    }
  }
});

/** As Q4_K, with 32 bytes in front of the 4 bits: bit g of byte i is the fifth bit of weight i of group g. */
export const Q5_K = blocksOf256('Q5_K', 13, 176, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 176) {
    const [d, dmin] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleOf(bytes, at + 4, group);
      const minimum = dmin * minimumOf(bytes, at + 4, group);
      const codes = at + 48 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      const to = first + 32 * group;
      for (let i = 0; i < 32; i++) {
        const code = ((bytes[codes + i] >> shift) & 15) | (((bytes[at + 16 + i] >> group) & 1) << 4);
        out[to + i] = scale * code - minimum;
      }
    }
  }
});

/** 128 bytes of lower 4 bits, 64 of upper 2 bits, 16 scales, d. Each half of 128 weights is four runs of 32. */
export const Q6_K = blocksOf256('Q6_K', 14, 210, (bytes, out) => {
  for (let first = 0, at = 0; first < out.length; first += BLOCK, at += 210) {
    const d = halfAt(bytes, at + 208);
    for (let run = 0; run < 8; run++) {
      const [half, inHalf] = [run >> 2, run & 3];
      const lower = at + 64 * half + 32 * (inHalf & 1);
      const lowerShift = 4 * (inHalf >> 1);
      const upper = at + 128 + 32 * half;
      const upperShift = 2 * inHalf;
      const to = first + 32 * run;
      for (let i = 0; i < 32; i++) {
        const scale = (bytes[at + 192 + 2 * run + (i >> 4)] << 24) >> 24;
        const code = ((bytes[lower + i] >> lowerShift) & 15) | (((bytes[upper + i] >> upperShift) & 3) << 4);
        out[to + i] = d * scale * (code - 32);
      }
    }
  }
});

/**
 * Of 8 groups, in 12 bytes: 0 - 3 the scales and 4 - 7 the minima of groups 0 - 3 in their lower 6 bits; 8 - 11 the lower 4 bits of the
 * scales and minima of groups 4 - 7, whose upper 2 stand above those of groups 0 - 3.
 */
function scaleOf(bytes: Uint8Array, at: number, group: number): number {
  return group < 4 ? bytes[at + group] & 63 : (bytes[at + 4 + group] & 15) | ((bytes[at + group - 4] >> 6) << 4);
}

function minimumOf(bytes: Uint8Array, at: number, group: number): number {
  return group < 4 ? bytes[at + 4 + group] & 63 : (bytes[at + 4 + group] >> 4) | ((bytes[at + group] >> 6) << 4);
}
