/**
 * Kullback-Leibler divergence of a teacher's softmax p from a student's q, both of logits / temperature: T^2 * sum of p (log p - log q); its gradient
 * with respect to the student's logits is T (q - p). T^2 keeps the size of gradients whatever the temperature is (Hinton et al., arXiv 1503.02531).
 * A target of -1 is a position that does not count.
 */

import type { DivergenceOptions } from '../../backend.ts';
import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

export function softmaxDivergence(
  logits: FloatTensor,
  teacher: FloatTensor,
  targets: IntTensor,
  divergences: FloatTensor,
  { temperature, scale }: DivergenceOptions,
): void {
  const vocabSize = columnsOf(logits);
  for (let r = 0; r < rowsOf(logits); r++) {
    const taught = teacher.data.subarray(r * vocabSize, (r + 1) * vocabSize);
    if (targets.data[r] === -1) {
      divergences.data[r] = 0;
      if (scale !== null) taught.fill(0);
      continue;
    }
    const q = logSoftmax(logits.data.subarray(r * vocabSize, (r + 1) * vocabSize), temperature);
    const p = logSoftmax(taught, temperature);
    let divergence = 0;
    for (let c = 0; c < vocabSize; c++) divergence += Math.exp(p[c]) * (p[c] - q[c]);
    divergences.data[r] = temperature ** 2 * divergence;
    if (scale === null) continue;
    for (let c = 0; c < vocabSize; c++) taught[c] = scale * temperature * (Math.exp(q[c]) - Math.exp(p[c]));
  }
}

function logSoftmax(logits: FloatTensor['data'], temperature: number): Float64Array {
  const scaled = Float64Array.from(logits, (logit) => logit / temperature);
  const largest = scaled.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const logSum = Math.log(scaled.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return scaled.map((value) => value - largest - logSum);
}
