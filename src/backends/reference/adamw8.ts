/**
 * AdamW as in adamw.ts, with both moments in 8 bits (tensor/block-moments.ts): decoded, updated, and, after the parameters have moved by the
 * exact numbers, encoded again with the scales of their blocks.
 */

import type { AdamWStep } from '../../backend.ts';
import { type BlockMoments, MOMENT_BLOCK, momentCode, momentOf, momentScale } from '../../tensor/block-moments.ts';
import { chanceOf } from '../../tensor/chance.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { elementsOf } from '../matrix-shape.ts';

export function adamw8(p: FloatTensor, g: FloatTensor, m: BlockMoments, v: BlockMoments, options: AdamWStep): void {
  const { lr, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
  const size = elementsOf(p);
  for (let first = 0; first < size; first += MOMENT_BLOCK) {
    const block = first / MOMENT_BLOCK;
    const [means, squares]: number[][] = [[], []];
    for (let i = first; i < Math.min(first + MOMENT_BLOCK, size); i++) {
      const gradient = g.data[i] * gradientScale;
      const oldMean = momentOf(m.codes.data[i], 'signed') * m.scale.data[block];
      const oldSquare = momentOf(v.codes.data[i], 'positive') * v.scale.data[block];
      const mean = beta1 * oldMean + (1 - beta1) * gradient;
      const square = beta2 * oldSquare + (1 - beta2) * gradient * gradient;
      const update = mean / (1 - beta1 ** step) / (Math.sqrt(square / (1 - beta2 ** step)) + eps);
      p.data[i] = p.data[i] * (1 - lr * weightDecay) - lr * update;
      g.data[i] = 0;
      means.push(mean);
      squares.push(square);
    }
    m.scale.data[block] = momentScale(means.reduce((largest, mean) => Math.max(largest, Math.abs(mean)), 0));
    v.scale.data[block] = momentScale(squares.reduce((largest, square) => Math.max(largest, square), 0));
    for (let i = 0; i < means.length; i++) {
      const chance = chanceOf(first + i, step);
      const [meanScale, squareScale] = [m.scale.data[block], v.scale.data[block]];
      m.codes.data[first + i] = meanScale === 0 ? 0 : momentCode(means[i] / meanScale, 'signed', chance & 0xffff);
      v.codes.data[first + i] = squareScale === 0 ? 0 : momentCode(squares[i] / squareScale, 'positive', chance >>> 16);
    }
  }
}
