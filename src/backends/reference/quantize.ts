/** Activations in 8 bits, as integers or rounded in place, and ternary weights: the definitions element by element. */

import type { ColumnRange } from '../../backend.ts';
import type { QuantizedRows } from '../../tensor/quantized-rows.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor, Tensor } from '../../tensor/tensor.ts';
import type { TernaryScale } from '../../tensor/ternary.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

/** The steps of an f32 computation are rounded one by one: a last bit makes another integer here and there. */
type Round = (x: number) => number;
const exact: Round = (x) => x;

interface RowOfCodes {
  begin: number;
  largest: number;
  codes: number[];
}

export function quantizeRows(x: Tensor<'f32'> | SparseRows, out: QuantizedRows): void {
  for (const [row, { begin, largest, codes }] of codesByRow(x).entries()) {
    out.scale.data[row] = codes.every(Number.isFinite) ? largest / 127 : Number.NaN;
    for (const [i, code] of codes.entries()) out.value.data[begin + i] = code;
  }
}

export function fakeQuantizeRows(x: FloatTensor | SparseRows, out: FloatTensor): void {
  const round = out.dtype === 'f32' ? Math.fround : exact;
  for (const { begin, largest, codes } of codesByRow(x)) {
    const scale = round(largest / 127);
    for (const [i, code] of codes.entries()) out.data[begin + i] = code * scale;
  }
}

function codesByRow(x: FloatTensor | SparseRows): RowOfCodes[] {
  const values = 'value' in x ? x.value : x;
  const round = values.dtype === 'f32' ? Math.fround : exact;
  return Array.from({ length: 'value' in x ? x.rows : rowsOf(x) }, (_, row) => {
    const begin = 'value' in x ? x.start.data[row] : row * columnsOf(x);
    const end = 'value' in x ? x.start.data[row + 1] : begin + columnsOf(x);
    let largest = 0;
    for (let i = begin; i < end; i++) if (Math.abs(values.data[i]) > largest) largest = Math.abs(values.data[i]);
    const factor = round(127 / round(largest + round(1e-5)));
    const codes = Array.from(values.data.subarray(begin, end), (value) => roundHalfToEven(round(value * factor)));
    return { begin, largest, codes };
  });
}

/** Never -0. */
function roundHalfToEven(x: number): number {
  const near = Math.round(x);
  return (Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near) + 0;
}

export function ternarize(
  w: FloatTensor,
  { first, count }: ColumnRange,
  { alpha, threshold }: TernaryScale,
  out: FloatTensor,
): void {
  const cols = columnsOf(w);
  for (let row = 0; row < rowsOf(w); row++) {
    for (let i = row * cols + first; i < row * cols + first + count; i++) {
      const code = w.data[i] > threshold ? 1 : w.data[i] < -threshold ? -1 : 0;
      out.data[i] = code * alpha;
    }
  }
}
