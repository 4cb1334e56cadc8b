/**
 * WeightMatrix: a matrix of weights as inference reads it, in f32, bf16, int8 or ternary, rows in memory one after another.
 *
 * Rows are whole and long, because a zero input skips a row: a projection is stored [inputs, outputs], the output head and `up` behind
 * few open gates [outputs, inputs]. `rowBytes` may exceed what a row needs (alignment; no power of two, whose rows would compete for the
 * same few cache sets), and `data` may begin inside of wider rows: a range of columns is a matrix too.
 *
 * Layouts of one row, weights in ascending columns:
 * - f32, bf16: little-endian numbers; a bf16 is the upper half of an f32.
 * - int8: signed bytes, -127 .. 127; w = byte * scale.
 * - ternary: 2 bits a weight, code = w + 1 (0, 1, 2). 32 bytes hold 128 columns: byte j of them holds columns j, j + 32, j + 64 and
 *   j + 96 of the 128, from its low bits to its high ones, so that a shift and a mask give 32 columns in order. w = (code - 1) * scale.
 *   Sources: BitNet b1.58 (arXiv 2402.17764) for the values; the layout is along the OUTPUT, unlike ggml's TQ2_0, which cannot skip.
 */

import type { Tensor } from './tensor.ts';

export const WEIGHT_TYPES = ['f32', 'bf16', 'int8', 'ternary'] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];

/** Do weights of this type have scales, and multiply activations of 8 bits? */
export function isQuantized(dtype: WeightType): dtype is 'int8' | 'ternary' {
  return dtype === 'int8' || dtype === 'ternary';
}

export interface WeightMatrix {
  readonly dtype: WeightType;
  readonly rows: number;
  readonly cols: number;
  /** From one row to the next; at least `weightRowBytes(dtype, cols)`, a multiple of 4. */
  readonly rowBytes: number;
  /** (rows - 1) * rowBytes + weightRowBytes(dtype, cols) bytes or more. */
  readonly data: Tensor<'u8'>;
  /**
   * null for f32 and bf16. With `scaleAxis` 'cols': [groups, cols], group g scales rows g * groupRows .. (g + 1) * groupRows; with
   * 'rows' [rows]. Ternary weights have one group.
   */
  readonly scale: Tensor<'f32'> | null;
  readonly scaleAxis: 'cols' | 'rows';
  /** Rows that share a scale per column; `rows` where there is one group. Meaningless with scaleAxis 'rows'. */
  readonly groupRows: number;
}

/** 128 columns of ternary weights. */
export const TERNARY_CHUNK_COLS = 128;
export const TERNARY_CHUNK_BYTES = 32;

/** Bytes that `cols` weights of a row take. */
export function weightRowBytes(dtype: WeightType, cols: number): number {
  if (dtype === 'ternary') return Math.ceil(cols / TERNARY_CHUNK_COLS) * TERNARY_CHUNK_BYTES;
  return cols * (dtype === 'f32' ? 4 : dtype === 'bf16' ? 2 : 1);
}

/** Gives the weight at (row, col) before its scale: what the row's layout holds. For oracles and conversions, one element at a time. */
export function storedWeights(w: WeightMatrix): (row: number, col: number) => number {
  const { buffer, byteOffset } = w.data.data;
  const bytes = new DataView(buffer, byteOffset);
  return (row, col) => storedWeight(w, bytes, row * w.rowBytes, col);
}

function storedWeight(w: WeightMatrix, bytes: DataView, begin: number, col: number): number {
  if (w.dtype === 'f32') return bytes.getFloat32(begin + 4 * col, true);
  if (w.dtype === 'int8') return bytes.getInt8(begin + col);
  if (w.dtype === 'bf16') {
    bf16Bits[0] = bytes.getUint16(begin + 2 * col, true) << 16;
    return bf16Value[0];
  }
  const within = col % TERNARY_CHUNK_COLS;
  const byte = bytes.getUint8(begin + (col - within) / 4 + (within % TERNARY_CHUNK_BYTES));
  return ((byte >> (2 * Math.floor(within / TERNARY_CHUNK_BYTES))) & 3) - 1;
}

const bf16Bits = new Uint32Array(1);
const bf16Value = new Float32Array(bf16Bits.buffer);

/** The factor of the weight at (row, col); 1 where there are no scales. */
export function weightScaleAt(w: WeightMatrix, row: number, col: number): number {
  if (w.scale === null) return 1;
  return w.scaleAxis === 'rows' ? w.scale.data[row] : w.scale.data[Math.floor(row / w.groupRows) * w.cols + col];
}

/** A dense f32 matrix [rows, cols] as it stands in memory. */
export function f32Weights(tensor: Tensor<'f32'>): WeightMatrix {
  const [rows, cols] = tensor.shape;
  const { buffer, byteOffset } = tensor.data;
  const bytes = rows * cols * 4;
  const data = new Uint8Array(buffer, byteOffset, bytes);
  return {
    dtype: 'f32',
    rows,
    cols,
    rowBytes: 4 * cols,
    data: { dtype: 'u8', shape: [bytes], data, address: tensor.address },
    scale: null,
    scaleAxis: 'cols',
    groupRows: rows,
  };
}
