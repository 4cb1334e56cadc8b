/**
 * Output head and loss in one op: the mean of -log softmax(h W^T)[target] over the targets that are not -1, in nats.
 *
 * Logits [N, V] would be the largest buffer of a training step, so tokens pass in chunks, and a chunk's gradients
 * are made while its logits are there, already in the forward:
 *   dLogits = (softmax - onehot) * gradientScale / nTargets,   dH = dLogits W,   dW += dLogits^T h.
 * The backward only hands dH on.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { type FloatTensor, type IntTensor, view } from '../tensor/tensor.ts';

/**
 * Enough rows that the products run at full speed and that adding to dW [V, D] once per chunk costs little beside
 * them; few enough that a chunk's logits (4 MiB at V = 4096) stay in the cache from one product to the next.
 */
const CHUNK_TOKENS = 256;

interface Input {
  /** [N, D], after the final norm. */
  hidden: Value;
  /** [V, D]: the embedding table or an own head. */
  head: Weight;
  /** [N]; -1 where a token does not count. */
  targets: IntTensor;
  /** The gradient is that of gradientScale * loss. */
  gradientScale: number;
}

interface Saved {
  hidden: Value;
  dHidden: FloatTensor | null;
}

export const crossEntropy: Op<Input, Saved, number> = {
  name: 'crossEntropy',

  forward(tape, { hidden, head, targets, gradientScale }) {
    const [nTokens, dim] = hidden.shape;
    const dHidden = tape.recording ? tape.take(hidden.shape) : null;
    const nTargets = countTargets(targets);
    const scale = tape.recording ? gradientScale / Math.max(nTargets, 1) : null;
    const buffers = chunkBuffers(tape, Math.min(CHUNK_TOKENS, nTokens), head.value.shape[0]);
    const { precision } = tape;
    let sum = 0;
    tape.enter('point', 'head');
    for (let first = 0; first < nTokens; first += CHUNK_TOKENS) {
      const count = Math.min(CHUNK_TOKENS, nTokens - first);
      const h = view(hidden.dense!, [count, dim], first * dim);
      const logits = view(buffers.logits, [count, head.value.shape[0]]);
      const losses = view(buffers.losses, [count]);
      tape.enter('product', 'Y');
      tape.kernels.matmul(h, head.value, logits, { transposeB: true, precision });
      tape.exit();
      tape.kernels.softmaxCrossEntropy(logits, view(targets, [count], first), losses, scale);
      for (const loss of losses.data) sum += loss;
      if (dHidden) {
        tape.enter('product', 'dX');
        tape.kernels.matmul(logits, head.value, view(dHidden, [count, dim], first * dim), { precision });
        tape.exit();
      }
      if (dHidden && head.gradient) {
        tape.enter('product', 'dW');
        tape.kernels.matmul(logits, h, head.gradient, { transposeA: true, accumulate: true, precision });
        tape.exit();
      }
    }
    tape.exit();
    const products = !dHidden ? 1 : head.gradient ? 3 : 2;
    tape.flops += 2 * products * nTokens * dim * head.value.shape[0];
    return { output: sum / Math.max(nTargets, 1), saved: { hidden, dHidden }, keep: dHidden ? [dHidden] : [] };
  },

  backward(tape, { hidden, dHidden }) {
    tape.addGradient(hidden, { dense: dHidden!, rows: null });
  },
};

function chunkBuffers(tape: Tape, nTokens: number, vocabSize: number): { logits: FloatTensor; losses: FloatTensor } {
  return { logits: tape.take([nTokens, vocabSize]), losses: tape.take([nTokens]) };
}

function countTargets(targets: IntTensor): number {
  let count = 0;
  for (const target of targets.data) if (target !== -1) count++;
  return count;
}
