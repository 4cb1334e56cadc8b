/**
 * TQ1_0 and TQ2_0: blocks of 256 weights -d, 0 or d.
 *
 * TQ2_0: 2 bits each. TQ1_0: five in a byte, as the fraction byte / 256 in base 3: multiplied by 3^n modulo 256, digit n is what then
 * overflows a byte in the multiplication by 3. Source: ggml, src/ggml-quants.c, `dequantize_row_tq1_0` and `dequantize_row_tq2_0`.
 */

import type { GgmlType } from './ggml-type.ts';
import { halfAt } from './half.ts';

const BLOCK = 256;
const POWERS_OF_3 = Uint8Array.of(1, 3, 9, 27, 81);

/** Runs of bytes: [first byte, bytes, digits of each]. Digit n of all bytes of a run comes before digit n + 1. */
const TQ1_RUNS = [
  [0, 32, 5],
  [32, 16, 5],
  [48, 4, 4],
] as const;

export const TQ1_0: GgmlType = {
  ...{ name: 'TQ1_0', id: 34, blockElements: BLOCK, blockBytes: 54 },
  dequantize: (bytes, out) => {
    for (let to = 0, at = 0; to < out.length; at += 54) {
      const d = halfAt(bytes, at + 52);
      for (const [firstByte, count, digits] of TQ1_RUNS) {
        for (let digit = 0; digit < digits; digit++) {
          for (let i = 0; i < count; i++) {
            const shifted = (bytes[at + firstByte + i] * POWERS_OF_3[digit]) & 255;
            out[to++] = d * (((shifted * 3) >> 8) - 1);
          }
        }
      }
    }
  },
};

/** 32 bytes hold 128 weights: byte i weight i in its lowest two bits, then i + 32 and so on; d behind the two halves. */
export const TQ2_0: GgmlType = {
  ...{ name: 'TQ2_0', id: 35, blockElements: BLOCK, blockBytes: 66 },
  dequantize: (bytes, out) => {
    for (let to = 0, at = 0; to < out.length; at += 66) {
      const d = halfAt(bytes, at + 64);
      for (let half = 0; half < 64; half += 32) {
        for (let shift = 0; shift < 8; shift += 2) {
          for (let i = 0; i < 32; i++) out[to++] = d * (((bytes[at + half + i] >> shift) & 3) - 1);
        }
      }
    }
  },
};
