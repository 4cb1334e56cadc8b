/**
 * The two products behind the loss, of the gradient of a chunk's logits: dH = dLogits W and dW += dLogits^T h.
 *
 * Most of dLogits is next to nothing: the softmax gives each token some hundred words that could follow and tens of thousands that could not. With a threshold what is smaller
 * is pruned by chance: it becomes the threshold or 0, its mean stays, and of a row no more than 1 / threshold elements and the target are left on average, because probabilities add up to 1. These are
 * listed and the zeros skipped, where that pays. Without a threshold the products are the exact, dense ones.
 *
 * Sources: skipping small gradients of the softmax, Cut Cross-Entropy (Wijmans et al., arXiv 2411.09009), which leaves them out; by chance, Ye et al. (arXiv 1908.00173).
 */

import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { chanceOf } from '../tensor/chance.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { gatherIfSparse } from './non-zeros.ts';
import { transposed } from './products.ts';

/** Which gradients of logits are left to chance. */
export interface LogitPruning {
  /** In probability, above 0 and below 1: the gradient of a logit is that of the softmax, less 1 at the target. */
  readonly threshold: number;
  /** Of the chance: another one in each pass. A whole number below 2^32. */
  readonly seed: number;
}

export interface HeadGradients {
  /** [N, D] */
  hidden: FloatTensor;
  head: Weight;
  /** [N, D] */
  dHidden: FloatTensor;
  pruning: LogitPruning | null;
  /** What a gradient of 1 in probability is in dLogits. */
  scale: number;
  /** Number of the chunk in its pass. */
  chunk: number;
}

/** dLogits [N, V] is changed where it is pruned. */
export function headGradients(tape: Tape, dLogits: FloatTensor, input: HeadGradients): void {
  const { hidden, head, dHidden } = input;
  const { precision, kernels } = tape;
  const rows = input.pruning ? pruned(tape, dLogits, input.pruning, input) : null;
  const multiplyAdds = (rows ? nonZeros(rows) : dLogits.data.length) * hidden.shape[1];
  tape.enter('product', 'dX');
  if (rows) kernels.sparseMatmul(rows, head.value, dHidden, { precision });
  else kernels.matmul(dLogits, head.value, dHidden, { precision });
  tape.exit();
  tape.flops += 2 * multiplyAdds;
  if (!head.gradient) return;
  tape.enter('product', 'dW');
  const options = { accumulate: true, precision };
  if (rows) kernels.sparseMatmul(transposed(tape, rows), hidden, head.gradient, options);
  else kernels.matmul(dLogits, hidden, head.gradient, { transposeA: true, ...options });
  tape.exit();
  tape.flops += 2 * multiplyAdds;
}

function pruned(
  tape: Tape,
  dLogits: FloatTensor,
  { threshold, seed }: LogitPruning,
  { scale, chunk }: HeadGradients,
): SparseRows | null {
  tape.kernels.pruneByChance(dLogits, threshold * scale, chanceOf(chunk, seed));
  return gatherIfSparse(tape, dLogits).rows;
}
