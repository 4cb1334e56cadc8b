/**
 * Moments in 8 bits against moments in f32: the same small model on the same batches, 200 steps. Their losses have to go together, for the whole of a
 * curve that falls by most of its height, with a first moment that forgets fast and a second that forgets slowly.
 */

import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import type { OptimizerState } from '../../src/train/adamw.ts';
import { resolveTrainConfig } from '../../src/train/train-config.ts';
import { Trainer, type TrainingData } from '../../src/train/trainer.ts';
import { PROPERTY_BACKENDS } from './property-backends.ts';

const [STEPS, SEQ_LEN, VOCAB] = [200, 16, 61];
const MODEL = resolveConfig({
  ...{ dim: 32, hiddenDim: 64, nLayers: 2, nHeads: 2, vocabSize: VOCAB, seqLen: SEQ_LEN },
  ...{ activation: 'silu', sparsity: 0.4 },
});

/** Each token follows from the last by one of two rules, which the row tells: there is something to learn all along. */
const DATA: TrainingData = {
  batch(index, batchSize, seqLen, ids, targets) {
    for (let row = 0; row < batchSize; row++) {
      let token = (index * 17 + row * 29) % VOCAB;
      for (let i = 0; i < seqLen; i++) {
        ids[row * seqLen + i] = token;
        token = (row % 2 === 0 ? token * 3 + 1 : token + 7) % VOCAB;
        targets[row * seqLen + i] = token;
      }
    }
  },
  *validationBatches() {},
  validationTokens: 0,
  validationBytes: 0,
};

describe.each(PROPERTY_BACKENDS.filter(({ name }) => name !== 'reference'))('moments in 8 bits, $name', (entry) => {
  it.skipIf(entry.missing !== null).each([0.95, 0.999])(
    'learn as those in f32 over 200 steps, beta2 %f',
    async (beta2) => {
      const backend = await entry.create();
      const lossesOf = async (optimizerState: OptimizerState) => {
        const losses: number[] = [];
        const input = { steps: STEPS, batchSize: 4, lr: 3e-3, beta2, validateEvery: 0, saveEvery: 0, detailEvery: 0 };
        const trainer = new Trainer({
          model: MODEL,
          train: resolveTrainConfig({ ...input, optimizerState }, SEQ_LEN),
          ...{ backend, data: DATA },
          onRecord: (record) => {
            if (record.type === 'step') losses.push(record.loss);
          },
        });
        await trainer.run();
        trainer.dispose();
        return losses;
      };
      const [exact, rounded] = [await lossesOf('f32'), await lossesOf('int8')];
      backend.dispose();
      expect(exact[0]).toBeGreaterThan(4);
      expect(exact[STEPS - 1]).toBeLessThan(1.5);
      const meanOf = (losses: number[], first: number) => losses.slice(first, first + 20).reduce((a, b) => a + b) / 20;
      for (let first = 0; first < STEPS; first += 20) {
        expect(Math.abs(meanOf(rounded, first) - meanOf(exact, first)), `from step ${first}`).toBeLessThan(0.1);
      }
      expect(rounded).not.toEqual(exact);
    },
  );
});
