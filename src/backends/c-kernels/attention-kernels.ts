/** Attention: forward and backward over whole sequences, and over a cache. */

import type { Kernels } from '../../backend.ts';
import { ShapeError } from '../../util/errors.ts';
import type { Call } from './call.ts';

/** The tiles of the attention kernels must fit the scratch of a thread (attention.c). */
const MAX_HEAD_DIM = 1024;

export function attentionKernels(call: Call): Pick<Kernels, 'attention' | 'attentionBackward' | 'attentionCached'> {
  return {
    attention(qkv, out, logSumExp, { batch, seqLen, nHeads, nKvHeads, headDim }) {
      checkHeadDim('attention', headDim);
      const work = 2 * batch * seqLen * seqLen * nHeads * headDim;
      const sums = logSumExp.address;
      call('attention', work, qkv.address, out.address, sums, batch, seqLen, nHeads, nKvHeads, headDim);
    },
    attentionBackward(qkv, out, logSumExp, dOut, dQkv, { batch, seqLen, nHeads, nKvHeads, headDim }) {
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
      );
    },
    attentionCached(qkv, keys, values, out, { nQueries, start, nHeads, nKvHeads, headDim }) {
      checkHeadDim('attentionCached', headDim);
      const work = 4 * nQueries * (start + nQueries) * nHeads * headDim;
      call(
        'attention_cached',
        work,
        qkv.address,
        keys.address,
        values.address,
        out.address,
        nQueries,
        start,
        nHeads,
        nKvHeads,
        headDim,
      );
    },
  };
}

function checkHeadDim(where: string, headDim: number): void {
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(where, `headDim must be at most ${MAX_HEAD_DIM}, got ${headDim}. Use more heads.`);
  }
}
