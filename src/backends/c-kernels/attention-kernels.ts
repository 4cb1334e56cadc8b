/** Attention over whole sequences, forward and backward. */

import type { Kernels } from '../../backend.ts';
import type { Call } from './call.ts';
import { checkHeadDim } from './check-head-dim.ts';

export function attentionKernels(call: Call): Pick<Kernels, 'attention' | 'attentionBackward'> {
  return {
    attention(qkv, out, logSumExp, { batch, seqLen, nHeads, nKvHeads, headDim }, firstKeys = null) {
      checkHeadDim('attention', headDim);
      const work = 2 * batch * seqLen * seqLen * nHeads * headDim;
      call(
        'attention',
        work,
        qkv.address,
        out.address,
        logSumExp.address,
        batch,
        seqLen,
        nHeads,
        nKvHeads,
        headDim,
        firstKeys?.address ?? 0,
      );
    },
    attentionBackward(qkv, out, logSumExp, dOut, dQkv, { batch, seqLen, nHeads, nKvHeads, headDim }, firstKeys = null) {
      checkHeadDim('attentionBackward', headDim);
      const work = 5 * batch * seqLen * seqLen * nHeads * headDim;
      call(
        'attention_backward',
        work,
        qkv.address,
        out.address,
        logSumExp.address,
        dOut.address,
        dQkv.address,
        batch,
        seqLen,
        nHeads,
        nKvHeads,
        headDim,
        firstKeys?.address ?? 0,
      );
    },
  };
}
