/**
 * Rotary position embedding, feature i of a head paired with feature i + headDim / 2 (Hugging Face's convention):
 * (a, b) becomes (a cos - b sin, b cos + a sin); the inverse turns the other way. Source: Su et al. (arXiv 2104.09864).
 */

import type { RopeShape } from '../../backend.ts';
import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

export function rope(x: FloatTensor, positions: IntTensor, cos: FloatTensor, sin: FloatTensor, shape: RopeShape): void {
  const width = columnsOf(x);
  const half = shape.headDim / 2;
  for (let r = 0; r < rowsOf(x); r++) {
    const position = positions.data[r];
    for (let h = 0; h < shape.nRotatedHeads; h++) {
      for (let i = 0; i < half; i++) {
        const first = r * width + h * shape.headDim + i;
        const second = first + half;
        const c = cos.data[position * half + i];
        const s = shape.inverse ? -sin.data[position * half + i] : sin.data[position * half + i];
        const [a, b] = [x.data[first], x.data[second]];
        x.data[first] = a * c - b * s;
        x.data[second] = b * c + a * s;
      }
    }
  }
}
