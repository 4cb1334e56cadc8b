/**
 * unpackRow: one row of stored weights as f32 numbers, scales applied. For conversions and lookups, a row at a time; `storedWeights` of
 * weight-matrix.ts gives single elements, slower.
 */

import { TERNARY_CHUNK_BYTES, TERNARY_CHUNK_COLS, type WeightMatrix } from './weight-matrix.ts';

/** out [cols] = row `row` of w. */
export function unpackRow(w: WeightMatrix, row: number, out: Float32Array): void {
  const { buffer, byteOffset } = w.data.data;
  const begin = byteOffset + row * w.rowBytes;
  if (w.dtype === 'f32') {
    out.set(new Float32Array(buffer, begin, w.cols));
  } else if (w.dtype === 'bf16') {
    const halves = new Uint16Array(buffer, begin, w.cols);
    const bits = new Uint32Array(out.buffer, out.byteOffset, w.cols);
    for (let col = 0; col < w.cols; col++) bits[col] = halves[col] << 16;
  } else {
    if (w.dtype === 'int8') out.set(new Int8Array(buffer, begin, w.cols));
    else readTernary(new Uint8Array(buffer, begin), out, w.cols);
    applyScale(w, row, out);
  }
}

function readTernary(bytes: Uint8Array, out: Float32Array, cols: number): void {
  for (let col = 0; col < cols; col++) {
    const within = col % TERNARY_CHUNK_COLS;
    const byte = bytes[(col - within) / 4 + (within % TERNARY_CHUNK_BYTES)];
    out[col] = ((byte >> (2 * Math.floor(within / TERNARY_CHUNK_BYTES))) & 3) - 1;
  }
}

function applyScale({ scale, scaleAxis, groupRows, cols }: WeightMatrix, row: number, out: Float32Array): void {
  const scales = scale!.data;
  const first = scaleAxis === 'rows' ? row : Math.floor(row / groupRows) * cols;
  const step = scaleAxis === 'rows' ? 0 : 1;
  for (let col = 0; col < cols; col++) out[col] *= scales[first + col * step];
}
