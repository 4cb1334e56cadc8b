/**
 * Causal self-attention over fused qkv [N, (nHeads + 2 nKvHeads) headDim] -> [N, nHeads * headDim].
 *
 * out = softmax(q k^T / sqrt(headDim)) v per head, keys up to the query's own position. The scores are never stored: the
 * backward makes them again from qkv and the log-sum-exp of each row, so memory is linear in seqLen.
 * Source: FlashAttention (arXiv 2205.14135).
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';
import type { AttentionShape } from '../backend.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

interface Saved {
  qkv: Value;
  output: Value;
  logSumExp: FloatTensor;
  shape: AttentionShape;
}

export const attention: Op<{ qkv: Value; shape: AttentionShape }, Saved> = {
  name: 'attention',

  forward(tape, { qkv, shape }) {
    const nTokens = qkv.shape[0];
    const dense = tape.take([nTokens, shape.nHeads * shape.headDim]);
    const logSumExp = tape.take([nTokens, shape.nHeads]);
    tape.kernels.attention(qkv.dense!, dense, logSumExp, shape);
    tape.flops += attentionFlops(shape);
    const output = new Value([nTokens, shape.nHeads * shape.headDim], { dense });
    return { output, saved: { qkv, output, logSumExp, shape }, keep: [qkv.dense!, dense, logSumExp] };
  },

  backward(tape, { qkv, output, logSumExp, shape }, dOut) {
    const dense = tape.take(qkv.shape);
    tape.kernels.attentionBackward(qkv.dense!, output.dense!, logSumExp, tape.denseForm(dOut), dense, shape);
    tape.flops += 2 * attentionFlops(shape);
    tape.addGradient(qkv, { dense, rows: null });
  },
};

/**
 * Forward operations: two products (scores, values) over the (seqLen + 1) / 2 keys that a query sees on average. The
 * backward counts twice that, as is usual: making the scores again is not counted as work done.
 */
export function attentionFlops({ batch, seqLen, nHeads, headDim }: AttentionShape): number {
  return batch * seqLen * 2 * 2 * nHeads * headDim * ((seqLen + 1) / 2);
}
