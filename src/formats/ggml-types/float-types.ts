/** F32, F16 and BF16: one number a block. */

import type { GgmlType } from './ggml-type.ts';
import { halfValues } from './half.ts';

/** The bits are copied as they are, NaNs too: the file is little-endian, like every machine that this runs on. */
export const F32: GgmlType = {
  ...{ name: 'F32', id: 0, blockElements: 1, blockBytes: 4 },
  dequantize: (bytes, out) => new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes),
};

export const F16: GgmlType = {
  ...{ name: 'F16', id: 1, blockElements: 1, blockBytes: 2 },
  dequantize: (bytes, out) => {
    const values = halfValues();
    for (let i = 0; i < out.length; i++) out[i] = values[bytes[2 * i] | (bytes[2 * i + 1] << 8)];
  },
};

/** The upper half of an f32. */
export const BF16: GgmlType = {
  ...{ name: 'BF16', id: 30, blockElements: 1, blockBytes: 2 },
  dequantize: (bytes, out) => {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < out.length; i++) bits[i] = (bytes[2 * i] << 16) | (bytes[2 * i + 1] << 24);
  },
};
