/** RMSNorm, top-K and 8 bits one after the other, each where it is asked for. */

import type { RowNorm } from '../../backend.ts';
import type { QuantizedRows } from '../../tensor/quantized-rows.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { rowsOf } from '../matrix-shape.ts';
import { quantizeRows } from './quantize.ts';
import { rmsNorm } from './rms-norm.ts';
import { selectTopK } from './top-k.ts';

export function selectInput(
  x: Tensor<'f32'>,
  norm: RowNorm | null,
  kept: number,
  out: SparseRows,
  quantized: QuantizedRows | null,
): void {
  selectTopK(norm === null ? x : normed(x, norm), kept, out);
  if (quantized !== null) quantizeRows(out, quantized);
}

function normed(x: Tensor<'f32'>, { weight, eps }: RowNorm): Tensor<'f32'> {
  const out: Tensor<'f32'> = { ...x, data: new Float32Array(x.data.length) };
  const rstd: Tensor<'f32'> = { ...x, shape: [rowsOf(x)], data: new Float32Array(rowsOf(x)) };
  rmsNorm(x, weight, eps, out, rstd);
  return out;
}
