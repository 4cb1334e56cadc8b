/** Embedding, loss and optimiser. */

import type { AdamWStep, Kernels } from '../../backend.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';
import { bit, type Call } from './call.ts';

type Training =
  | 'embedding'
  | 'embeddingBackward'
  | 'softmaxCrossEntropy'
  | 'softmaxDivergence'
  | 'pruneByChance'
  | 'adamw'
  | 'adamw8';

export function trainingKernels(call: Call): Pick<Kernels, Training> {
  return {
    embedding(ids, table, out) {
      const dim = columnsOf(table);
      const work = 8 * elementsOf(out);
      call('embedding', work, ids.address, table.address, out.address, elementsOf(ids), dim);
    },
    embeddingBackward(ids, dOut, dTable) {
      const dim = columnsOf(dTable);
      const work = 12 * elementsOf(dOut);
      call('embedding_backward', work, ids.address, dOut.address, dTable.address, elementsOf(ids), dim);
    },
    softmaxCrossEntropy(logits, targets, losses, scale) {
      const rows = rowsOf(logits);
      const vocabSize = columnsOf(logits);
      const work = 16 * rows * vocabSize;
      const hasScale = bit(scale !== null);
      const to = losses.address;
      call('softmax_cross_entropy', work, logits.address, targets.address, to, rows, vocabSize, hasScale, scale ?? 0);
    },
    softmaxDivergence(logits, teacher, targets, divergences, { temperature, scale }) {
      const rows = rowsOf(logits);
      const vocabSize = columnsOf(logits);
      const addresses = [logits, teacher, targets, divergences].map(({ address }) => address);
      const [from, taught, at, to] = addresses;
      const work = 40 * rows * vocabSize;
      const hasScale = bit(scale !== null);
      call('softmax_divergence', work, from, taught, at, to, rows, vocabSize, temperature, hasScale, scale ?? 0);
    },
    pruneByChance(x, threshold, seed) {
      const [rows, cols] = [rowsOf(x), columnsOf(x)];
      call('prune_by_chance', 12 * rows * cols, x.address, rows, cols, threshold, seed);
    },
    adamw(p, g, m, v, options) {
      const size = elementsOf(p);
      call('adamw', 28 * size, p.address, g.address, m.address, v.address, size, ...stepSlots(options));
    },
    adamw8(p, g, m, v, options) {
      const size = elementsOf(p);
      const [mCodes, mScale, vCodes, vScale] = [m.codes, m.scale, v.codes, v.scale].map(({ address }) => address);
      const slots = stepSlots(options);
      call('adamw8', 60 * size, p.address, g.address, mCodes, mScale, vCodes, vScale, size, ...slots, options.step);
    },
  };
}

type StepSlots = [number, number, number, number, number, number, number, number];

function stepSlots({ lr, beta1, beta2, eps, weightDecay, step, gradientScale }: AdamWStep): StepSlots {
  return [lr, beta1, beta2, eps, weightDecay, 1 - beta1 ** step, 1 - beta2 ** step, gradientScale];
}
