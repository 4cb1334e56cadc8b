/**
 * AdamW: p *= 1 - lr wd; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
 * p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps). Source: Loshchilov & Hutter (arXiv 1711.05101), as in PyTorch.
 */

import type { AdamWStep } from '../../backend.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { elementsOf } from '../matrix-shape.ts';

export function adamw(p: FloatTensor, g: FloatTensor, m: FloatTensor, v: FloatTensor, options: AdamWStep): void {
  const { lr, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
  for (let i = 0; i < elementsOf(p); i++) {
    const gradient = g.data[i] * gradientScale;
    const mean = beta1 * m.data[i] + (1 - beta1) * gradient;
    const square = beta2 * v.data[i] + (1 - beta2) * gradient * gradient;
    const update = mean / (1 - beta1 ** step) / (Math.sqrt(square / (1 - beta2 ** step)) + eps);
    p.data[i] = p.data[i] * (1 - lr * weightDecay) - lr * update;
    m.data[i] = mean;
    v.data[i] = square;
    g.data[i] = 0;
  }
}
