/**
 * Softmax cross-entropy: loss = log(sum of exp(logits)) - logits[target], with the largest logit taken out of the
 * exponentials; gradient (softmax - onehot) * scale. A target of -1 is a position that does not count.
 */

import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, rowsOf } from '../matrix-shape.ts';

export function softmaxCrossEntropy(
  logits: FloatTensor,
  targets: IntTensor,
  losses: FloatTensor,
  scale: number | null,
): void {
  const vocabSize = columnsOf(logits);
  for (let r = 0; r < rowsOf(logits); r++) {
    const row = logits.data.subarray(r * vocabSize, (r + 1) * vocabSize);
    const target = targets.data[r];
    if (target === -1) {
      losses.data[r] = 0;
      if (scale !== null) row.fill(0);
      continue;
    }
    let largest = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < vocabSize; c++) largest = Math.max(largest, row[c]);
    let sum = 0;
    for (let c = 0; c < vocabSize; c++) sum += Math.exp(row[c] - largest);
    // Not log-sum-exp minus logit: near-certain rows would lose their digits to the size of the largest logit.
    losses.data[r] = Math.log(sum) + (largest - row[target]);
    if (scale === null) continue;
    for (let c = 0; c < vocabSize; c++) {
      row[c] = (Math.exp(row[c] - largest) / sum - (c === target ? 1 : 0)) * scale;
    }
  }
}
