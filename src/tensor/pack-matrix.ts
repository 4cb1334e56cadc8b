/**
 * packMatrix: f32 numbers into the layouts of weight-matrix.ts, with the scales of the quantised ones.
 *
 * | dtype | scale s | stored |
 * | --- | --- | --- |
 * | f32 | none | the numbers |
 * | bf16 | none | the upper half of each, rounded to nearest, ties to even; NaN stays NaN |
 * | int8 | max abs w / 127 of the weights that share it, as f32 | w / s, rounded to nearest, ties to even, -127 .. 127 |
 * | ternary | alpha = mean abs w of the projection, as f32 | w / (alpha + 1e-5), rounded likewise, -1 .. 1 |
 *
 * A projection whose weights are all 0 or plus or minus one number is ternary already and keeps that number as its scale, so that
 * packing it loses nothing; the mean over its zeros would shrink it. Sources: BitNet b1.58 (arXiv 2402.17764) eq. 1 - 3 for ternary weights.
 */

import { FormatError } from '../util/errors.ts';
import { type MatrixView, readRow } from './matrix-view.ts';
import { ALPHA_EPSILON } from './ternary.ts';
import { TERNARY_CHUNK_BYTES, TERNARY_CHUNK_COLS, type WeightMatrix, type WeightType } from './weight-matrix.ts';

/** Columns first .. first + count of a matrix. */
export interface Columns {
  readonly first: number;
  readonly count: number;
}

const LARGEST_CODE = { int8: 127, ternary: 1 } as const;
type QuantizedType = keyof typeof LARGEST_CODE;

/**
 * Fills data and scale of `target` from `source`, of the same shape. `projections` are the columns that have a ternary scale of their
 * own, all columns together where left out. Bytes between two rows are not written.
 * Throws FormatError that names `name`, row and column for a number that is not finite, which only f32 and bf16 can hold.
 */
export function packMatrix(
  source: MatrixView,
  target: WeightMatrix,
  { name, projections = [{ first: 0, count: source.cols }] }: { name: string; projections?: readonly Columns[] },
): void {
  const writeRow = rowWriter(target);
  const row = new Float32Array(source.cols);
  if (target.scale === null) {
    for (let r = 0; r < source.rows; r++) {
      readRow(source, r, row);
      writeRow(row, r);
    }
    return;
  }
  expectFinite(source, target.dtype, name);
  const divisors = target.dtype === 'int8' ? setInt8Scales(source, target) : setAlphas(source, target, projections);
  const codes = new Int8Array(source.cols);
  const limit = LARGEST_CODE[target.dtype as QuantizedType];
  for (let r = 0; r < source.rows; r++) {
    readRow(source, r, row);
    const byRow = target.scaleAxis === 'rows';
    quantizeRow(row, divisors, byRow ? r : Math.floor(r / target.groupRows) * source.cols, byRow ? 0 : 1, limit, codes);
    writeRow(codes, r);
  }
}

/** codes = row / divisors, rounded to nearest, ties to even, within limits; the divisors begin at `first`, `step` apart. */
function quantizeRow(
  row: Float32Array,
  divisors: Float64Array,
  first: number,
  step: 0 | 1,
  limit: number,
  codes: Int8Array,
): void {
  for (let col = 0; col < row.length; col++) {
    const divisor = divisors[first + col * step];
    const quotient = divisor > 0 ? row[col] / divisor : 0;
    const limited = quotient > limit ? limit : quotient < -limit ? -limit : quotient;
    codes[col] = limited + ROUNDING - ROUNDING;
  }
}

/** Of an f64 this far above the last bits of `limit`, one unit is 1: the addition rounds to a whole number, ties to even. */
const ROUNDING = 1.5 * 2 ** 52;

// ---- scales -----------------------------------------------------------------------------------------------------------

/** Writes the scales and returns what the weights are divided by: the scales. */
function setInt8Scales(source: MatrixView, { scale, scaleAxis, groupRows }: WeightMatrix): Float64Array {
  const { rows, cols } = source;
  const byRow = scaleAxis === 'rows';
  const largest = new Float64Array(byRow ? rows : Math.ceil(rows / groupRows) * cols);
  const row = new Float32Array(cols);
  for (let r = 0; r < rows; r++) {
    readRow(source, r, row);
    const first = byRow ? r : Math.floor(r / groupRows) * cols;
    for (let col = 0; col < cols; col++) {
      const at = byRow ? first : first + col;
      const size = Math.abs(row[col]);
      if (size > largest[at]) largest[at] = size;
    }
  }
  const scales = scale!.data;
  for (let i = 0; i < largest.length; i++) scales[i] = largest[i] / LARGEST_CODE.int8;
  return Float64Array.from(scales.subarray(0, largest.length));
}

/** Writes the alpha of each projection to its columns (or to all rows) and returns what the weights are divided by. */
function setAlphas(source: MatrixView, target: WeightMatrix, projections: readonly Columns[]): Float64Array {
  const scales = target.scale!.data;
  const divisors = new Float64Array(target.scaleAxis === 'rows' ? source.rows : source.cols);
  for (const { first, count } of projections) {
    const { alpha, divisor } = alphaOf(source, first, count);
    const [begin, end] = target.scaleAxis === 'rows' ? [0, source.rows] : [first, first + count];
    scales.fill(alpha, begin, end);
    divisors.fill(divisor, begin, end);
  }
  return divisors;
}

function alphaOf(source: MatrixView, first: number, count: number): { alpha: number; divisor: number } {
  const row = new Float32Array(source.cols);
  let sum = 0;
  let largest = 0;
  let smallest = Infinity;
  for (let r = 0; r < source.rows; r++) {
    readRow(source, r, row);
    for (let col = first; col < first + count; col++) {
      const size = Math.abs(row[col]);
      sum += size;
      if (size > largest) largest = size;
      if (size < smallest && size > 0) smallest = size;
    }
  }
  if (largest === smallest) return { alpha: largest, divisor: largest };
  const alpha = Math.fround(sum / (source.rows * count));
  return { alpha, divisor: alpha + ALPHA_EPSILON };
}

function expectFinite(source: MatrixView, dtype: WeightType, name: string): void {
  const row = new Float32Array(source.cols);
  for (let r = 0; r < source.rows; r++) {
    readRow(source, r, row);
    let sum = 0;
    for (let col = 0; col < row.length; col++) sum += row[col] * 0;
    if (sum === 0) continue;
    const col = row.findIndex((x) => !Number.isFinite(x));
    const what = `${name}: row ${r}, column ${col} is ${row[col]}`;
    throw new FormatError(
      'pack',
      `${what}: ${dtype} weights must be finite. Pack another checkpoint, or use f32 or bf16.`,
    );
  }
}

// ---- layouts ----------------------------------------------------------------------------------------------------------

type RowWriter = (values: Float32Array | Int8Array, row: number) => void;

/** Writes rows of numbers (f32, bf16) or of codes (int8, ternary) in the layout of `target`. */
function rowWriter({ dtype, data, rowBytes, cols }: WeightMatrix): RowWriter {
  const { buffer, byteOffset, byteLength } = data.data;
  if (dtype === 'f32') {
    const numbers = new Float32Array(buffer, byteOffset, Math.floor(byteLength / 4));
    return (values, row) => numbers.set(values, (row * rowBytes) / 4);
  }
  if (dtype === 'bf16') {
    const halves = new Uint16Array(buffer, byteOffset, Math.floor(byteLength / 2));
    return (values, row) => writeBf16(values as Float32Array, halves, (row * rowBytes) / 2);
  }
  if (dtype === 'int8') {
    const bytes = new Int8Array(buffer, byteOffset, byteLength);
    return (codes, row) => bytes.set(codes, row * rowBytes);
  }
  const padded = new Int8Array(Math.ceil(cols / TERNARY_CHUNK_COLS) * TERNARY_CHUNK_COLS);
  return (codes, row) => {
    padded.set(codes);
    writeTernary(padded, data.data, row * rowBytes);
  };
}

/** Half a unit of the upper half, less one bit where that half is even, is added: ties then end at the even one. */
function writeBf16(values: Float32Array, halves: Uint16Array, begin: number): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let col = 0; col < bits.length; col++) {
    const x = bits[col];
    const notANumber = (x & 0x7fff_ffff) > 0x7f80_0000;
    // A NaN whose set bits are all in the lower half would become an infinity.
    halves[begin + col] = notANumber ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
}

/** The codes of whole chunks; those behind the last column are weights of 0. */
function writeTernary(codes: Int8Array, bytes: Uint8Array, begin: number): void {
  for (let chunk = 0; chunk < codes.length; chunk += TERNARY_CHUNK_COLS) {
    for (let j = 0; j < TERNARY_CHUNK_BYTES; j++) {
      const at = chunk + j;
      const low = (codes[at] + 1) | ((codes[at + TERNARY_CHUNK_BYTES] + 1) << 2);
      const high = (codes[at + 2 * TERNARY_CHUNK_BYTES] + 1) | ((codes[at + 3 * TERNARY_CHUNK_BYTES] + 1) << 2);
      bytes[begin + chunk / 4 + j] = low | (high << 4);
    }
  }
}
