/**
 * Output head and loss in one op: the mean of -log softmax(h W^T)[target] over the targets that are not -1, in nats.
 *
 * Logits [N, V] would be the largest buffer of a training step, so tokens pass in chunks, and a chunk's gradients
 * are made while its logits are there, already in the forward:
 *   dLogits = (softmax - onehot) * gradientScale / nTargets,   dH = dLogits W,   dW += dLogits^T h   (head-gradients.ts).
 * The backward only hands dH on.
 *
 * With a teacher, another model's hidden states and head, the loss that is differentiated is
 *   (1 - weight) * cross-entropy + weight * temperature^2 * KL(softmax of the teacher || softmax),
 * both softmaxes of logits / temperature (Hinton et al., arXiv 1503.02531); its logits are made chunk by chunk too.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { type FloatTensor, type IntTensor, view } from '../tensor/tensor.ts';
import { headGradients, type LogitPruning } from './head-gradients.ts';

/**
 * Enough rows that the products run at full speed and that adding to dW [V, D] once per chunk costs little beside
 * them; few enough that a chunk's logits (4 MiB at V = 4096) stay in the cache from one product to the next.
 */
const CHUNK_TOKENS = 256;

/** What a model learns from besides the targets; nothing of it gets gradients. */
export interface Teacher {
  /** [N, its D], after its final norm. */
  hidden: FloatTensor;
  /** [V, its D] */
  head: FloatTensor;
  /** In [0, 1]: 1 learns from the teacher alone. */
  weight: number;
  temperature: number;
}

export type TokenLoss = {
  /** Mean cross-entropy, nats. */
  loss: number;
  /** Mean divergence from the teacher times temperature^2, nats; 0 without one. */
  divergence: number;
};

export interface CrossEntropyInput {
  /** [N, D], after the final norm. */
  hidden: Value;
  /** [V, D]: the embedding table or an own head. */
  head: Weight;
  /** [N]; -1 where a token does not count. */
  targets: IntTensor;
  /** The gradient is that of gradientScale * loss. */
  gradientScale: number;
  teacher?: Teacher | null;
  /** null, the default: the gradients are exact. */
  pruning?: LogitPruning | null;
}

interface Saved {
  hidden: Value;
  dHidden: FloatTensor | null;
}

interface ChunkedInput extends Pick<CrossEntropyInput, 'hidden' | 'head' | 'targets'> {
  teacher: Teacher | null;
  pruning: LogitPruning | null;
  /** Of the gradient of each target; null, as the next, without gradients. */
  scale: number | null;
  dHidden: FloatTensor | null;
}

export const crossEntropy: Op<CrossEntropyInput, Saved, TokenLoss> = {
  name: 'crossEntropy',

  forward(tape, { hidden, head, targets, gradientScale, teacher = null, pruning = null }) {
    const [nTokens, dim] = hidden.shape;
    const dHidden = tape.recording ? tape.take(hidden.shape) : null;
    const nTargets = countTargets(targets);
    const scale = tape.recording ? gradientScale / Math.max(nTargets, 1) : null;
    // The logits of a chunk may be larger than all that a block keeps: they go before the backward pass begins.
    const sums = tape.scratch(() => chunkSums(tape, { hidden, head, targets, teacher, pruning, scale, dHidden }));
    tape.flops += 2 * nTokens * dim * head.value.shape[0];
    const output = { loss: sums.loss / Math.max(nTargets, 1), divergence: sums.divergence / Math.max(nTargets, 1) };
    return { output, saved: { hidden, dHidden }, keep: dHidden ? [dHidden] : [] };
  },

  backward(tape, { hidden, dHidden }) {
    tape.addGradient(hidden, { dense: dHidden!, rows: null });
  },
};

/** Loss and divergence, summed over the targets chunk by chunk; with their gradients in `dHidden` and in that of the head. */
function chunkSums(tape: Tape, input: ChunkedInput): { loss: number; divergence: number } {
  const { hidden, head, targets, teacher, pruning, scale, dHidden } = input;
  const [nTokens, dim] = hidden.shape;
  const buffers = chunkBuffers(tape, Math.min(CHUNK_TOKENS, nTokens), head.value.shape[0], teacher);
  const { precision } = tape;
  const sums = { loss: 0, divergence: 0 };
  tape.enter('point', 'head');
  for (let first = 0; first < nTokens; first += CHUNK_TOKENS) {
    const count = Math.min(CHUNK_TOKENS, nTokens - first);
    const h = view(hidden.dense!, [count, dim], first * dim);
    const logits = view(buffers.logits, [count, head.value.shape[0]]);
    const losses = view(buffers.losses, [count]);
    tape.enter('product', 'Y');
    tape.kernels.matmul(h, head.value, logits, { transposeB: true, precision });
    tape.exit();
    const chunkTargets = view(targets, [count], first);
    const taught = teacher && buffers.taught && view(buffers.taught, logits.shape);
    if (taught) {
      sums.divergence += divergenceOf(tape, logits, taught, { teacher, first, targets: chunkTargets, losses, scale });
    }
    const ownWeight = 1 - (teacher?.weight ?? 0);
    const ownScale = scale === null || ownWeight === 0 ? null : scale * ownWeight;
    tape.kernels.softmaxCrossEntropy(logits, chunkTargets, losses, ownScale);
    sums.loss += sumOf(losses);
    if (taught && ownScale !== null) tape.kernels.add(logits, taught, logits);
    if (dHidden && scale !== null) {
      // Where the teacher alone is learned from, its share is the gradient.
      const dLogits = taught && ownScale === null ? taught : logits;
      const [dH, chunk] = [view(dHidden, [count, dim], first * dim), first / CHUNK_TOKENS];
      const gradients = { hidden: h, head, dHidden: dH, pruning, scale, chunk };
      tape.scratch(() => headGradients(tape, dLogits, gradients));
    }
  }
  tape.exit();
  return sums;
}

/** Makes the teacher's logits of a chunk in `taught`, which become their share of the gradient; the sum of the divergences. */
function divergenceOf(
  tape: Tape,
  logits: FloatTensor,
  taught: FloatTensor,
  chunk: { teacher: Teacher; first: number; targets: IntTensor; losses: FloatTensor; scale: number | null },
): number {
  const { teacher, first, targets, losses, scale } = chunk;
  const { temperature, weight } = teacher;
  const width = teacher.hidden.shape[1];
  const { precision } = tape;
  const hidden = view(teacher.hidden, [logits.shape[0], width], first * width);
  tape.kernels.matmul(hidden, teacher.head, taught, { transposeB: true, precision });
  tape.flops += 2 * logits.data.length * width;
  const options = { temperature, scale: scale === null ? null : scale * weight };
  tape.kernels.softmaxDivergence(logits, taught, targets, losses, options);
  return sumOf(losses);
}

function chunkBuffers(tape: Tape, nTokens: number, vocabSize: number, teacher: Teacher | null) {
  const taught = teacher && tape.take([nTokens, vocabSize]);
  return { logits: tape.take([nTokens, vocabSize]), losses: tape.take([nTokens]), taught };
}

function sumOf(losses: FloatTensor): number {
  let sum = 0;
  for (const loss of losses.data) sum += loss;
  return sum;
}

/** How many are not -1. */
export function countTargets(targets: IntTensor): number {
  let count = 0;
  for (const target of targets.data) if (target !== -1) count++;
  return count;
}
