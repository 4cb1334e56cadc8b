/**
 * Causal self-attention over fused qkv [N, (nHeads + 2 nKvHeads) headDim] -> [N, nHeads * headDim].
 *
 * out = softmax(q k^T / sqrt(headDim)) v per head, keys from the query's first one (texts packed into one sequence, windows) up to its own
 * position. The scores are never stored: the
 * backward makes them again from qkv and the log-sum-exp of each row, so memory is linear in seqLen.
 * Source: FlashAttention (arXiv 2205.14135).
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';
import type { AttentionShape } from '../backend.ts';
import type { FloatTensor, IntTensor } from '../tensor/tensor.ts';

interface Input {
  qkv: Value;
  shape: AttentionShape;
  /** Index in its sequence of the first key that each token sees, [N]; null: all before it. */
  firstKeys: IntTensor | null;
}

interface Saved extends Input {
  output: Value;
  logSumExp: FloatTensor;
}

export const attention: Op<Input, Saved> = {
  name: 'attention',

  forward(tape, { qkv, shape, firstKeys }) {
    const nTokens = qkv.shape[0];
    const dense = tape.take([nTokens, shape.nHeads * shape.headDim]);
    const logSumExp = tape.take([nTokens, shape.nHeads]);
    tape.kernels.attention(qkv.dense!, dense, logSumExp, shape, firstKeys);
    tape.flops += attentionFlops(shape, firstKeys);
    const output = new Value([nTokens, shape.nHeads * shape.headDim], { dense });
    return { output, saved: { qkv, output, logSumExp, shape, firstKeys }, keep: [qkv.dense!, dense, logSumExp] };
  },

  backward(tape, { qkv, output, logSumExp, shape, firstKeys }, dOut) {
    const dense = tape.take(qkv.shape);
    tape.kernels.attentionBackward(qkv.dense!, output.dense!, logSumExp, tape.denseForm(dOut), dense, shape, firstKeys);
    tape.flops += 2 * attentionFlops(shape, firstKeys);
    tape.addGradient(qkv, { dense, rows: null });
  },
};

/**
 * Forward operations: two products (scores, values) over the keys that a query sees, (seqLen + 1) / 2 on average where it sees all before it. The
 * backward counts twice that, as is usual: making the scores again is not counted as work done.
 */
export function attentionFlops(shape: AttentionShape, firstKeys: IntTensor | null = null): number {
  return 2 * 2 * shape.nHeads * shape.headDim * seenKeys(shape, firstKeys);
}

/** Pairs of a query and a key that it sees. */
function seenKeys({ batch, seqLen }: AttentionShape, firstKeys: IntTensor | null): number {
  const all = batch * seqLen * ((seqLen + 1) / 2);
  return firstKeys === null ? all : firstKeys.data.reduce((sum, first) => sum - first, all);
}
