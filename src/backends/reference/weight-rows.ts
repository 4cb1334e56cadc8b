/** Rows of a weight matrix by id, as numbers: the embedding of stored weights. */

import type { IntTensor, Tensor } from '../../tensor/tensor.ts';
import { storedWeights, type WeightMatrix, weightScaleAt } from '../../tensor/weight-matrix.ts';
import { elementsOf } from '../matrix-shape.ts';

export function weightRows(ids: IntTensor, w: WeightMatrix, out: Tensor<'f32'>): void {
  const stored = storedWeights(w);
  for (let r = 0; r < elementsOf(ids); r++) {
    const row = ids.data[r];
    for (let c = 0; c < w.cols; c++) out.data[r * w.cols + c] = stored(row, c) * weightScaleAt(w, row, c);
  }
}
