/** Embedding, loss and optimiser. */

import type { Kernels } from '../../backend.ts';
import { bit, type Call } from './call.ts';

type Training = 'embedding' | 'embeddingBackward' | 'softmaxCrossEntropy' | 'adamw';

export function trainingKernels(call: Call): Pick<Kernels, Training> {
  return {
    embedding(ids, table, out) {
      const dim = table.shape[1];
      const work = 8 * out.data.length;
      call('embedding', work, ids.address, table.address, out.address, ids.data.length, dim);
    },
    embeddingBackward(ids, dOut, dTable) {
      const dim = dTable.shape[1];
      const work = 12 * dOut.data.length;
      call('embedding_backward', work, ids.address, dOut.address, dTable.address, ids.data.length, dim);
    },
    softmaxCrossEntropy(logits, targets, losses, scale) {
      const [rows, vocabSize] = logits.shape;
      const work = 16 * rows * vocabSize;
      const hasScale = bit(scale !== null);
      const to = losses.address;
      call('softmax_cross_entropy', work, logits.address, targets.address, to, rows, vocabSize, hasScale, scale ?? 0);
    },
    adamw(p, g, m, v, options) {
      const { lr, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
      const size = p.data.length;
      call(
        'adamw',
        28 * size,
        p.address,
        g.address,
        m.address,
        v.address,
        size,
        lr,
        beta1,
        beta2,
        eps,
        weightDecay,
        1 - beta1 ** step,
        1 - beta2 ** step,
        gradientScale,
      );
    },
  };
}
