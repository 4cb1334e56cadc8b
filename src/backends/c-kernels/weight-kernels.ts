/** Products with weights as inference stores them, and the 8-bit activations that they take. */

import type { Kernels, WeightInput } from '../../backend.ts';
import { nonZeros } from '../../tensor/sparse-rows.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { WeightMatrix, WeightType } from '../../tensor/weight-matrix.ts';
import { elementsOf } from '../matrix-shape.ts';
import { bit, type Call } from './call.ts';

/** How the C kernels know the layout of a row. */
export const WEIGHT_CODES: Readonly<Record<WeightType, number>> = { f32: 0, bf16: 1, int8: 2, ternary: 3 };

type Weights = 'weightMatvec' | 'weightMatmul' | 'weightDots';

export function weightKernels(call: Call): Pick<Kernels, Weights> {
  const product = (
    kernel: 'weight_matvec' | 'weight_matmul',
    x: WeightInput,
    w: WeightMatrix,
    out: Tensor,
    accumulate: boolean | undefined,
  ) => {
    const list = 'data' in x ? null : x;
    const blocks = list !== null && 'blocks' in list ? list.blocks : undefined;
    const value = 'data' in x ? x : x.value;
    const tokens = 'data' in x ? elementsOf(x) / w.rows : x.rows;
    call(
      kernel,
      2 * tokens * w.rows * w.cols,
      list?.start?.address ?? 0,
      list?.index?.address ?? 0,
      value.address,
      'scale' in x ? x.scale.address : 0,
      w.data.address,
      w.rowBytes,
      w.scale?.address ?? 0,
      w.groupRows,
      WEIGHT_CODES[w.dtype],
      out.address,
      tokens,
      w.rows,
      w.cols,
      bit(accumulate),
      blocks?.place.address ?? 0,
      blocks?.kept ?? 0,
      blocks?.size ?? 0,
    );
  };
  return {
    weightMatvec: (x, w, out, options) => product('weight_matvec', x, w, out, options?.accumulate),
    weightMatmul: (x, w, out, options) => product('weight_matmul', x, w, out, options?.accumulate),
    weightDots(x, w, out, options) {
      const at = options?.at;
      const value = 'data' in x ? x : x.value;
      const tokens = 'data' in x ? elementsOf(x) / w.cols : x.rows;
      call(
        'weight_dots',
        2 * (at ? nonZeros(at) : elementsOf(out)) * w.cols,
        value.address,
        'scale' in x ? x.scale.address : 0,
        w.data.address,
        w.rowBytes,
        w.scale?.address ?? 0,
        WEIGHT_CODES[w.dtype],
        out.address,
        tokens,
        w.rows,
        w.cols,
        at?.start.address ?? 0,
        at?.index.address ?? 0,
      );
    },
  };
}
