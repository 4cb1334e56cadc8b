/** Adapters in a run: what is saved, what comes back, and what the readers of checkpoints make of it. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import { readParameter } from '../model/checkpoint-parameters.ts';
import { describeParameters } from '../model/parameters.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { resolveTrainConfig } from './train-config.ts';
import type { TrainingData } from './trainer.ts';
import { TrainingRun } from './training-run.ts';

const model = resolveConfig({ dim: 8, hiddenDim: 16, nLayers: 2, nHeads: 2, vocabSize: 7, seqLen: 4, sparsity: 0.5 });
const input = { steps: 8, batchSize: 2, validateEvery: 0, saveEvery: 4, detailEvery: 2, lr: 0.02, loraRank: 2 };
const train = resolveTrainConfig({ ...input, accumulate: 2, loraPoints: 'qkv,down' }, 4);

const data: TrainingData = {
  batch(index, _batchSize, _seqLen, ids, targets) {
    for (let i = 0; i < ids.length; i++) {
      ids[i] = (index + i) % 7;
      targets[i] = (index + i + 1) % 7;
    }
  },
  *validationBatches() {},
  validationTokens: 0,
  validationBytes: 0,
};

const folder = mkdtempSync(join(tmpdir(), 'qsparse-lora-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open = (name: string, resume = false) =>
  TrainingRun.open({
    ...{ directory: join(folder, name), settings: { model, train, text: { paths: [], field: '' } }, resume, data },
    ...{ backend: createReferenceBackend(), tokenizer: { model: 'none' }, machine: 'test', version: '0' },
  });

const valuesOf = ({ trainer }: TrainingRun) =>
  new Map(trainer.model.stored.map(({ name, value }) => [name, Array.from(value.data)]));

describe('a run that trains adapters', () => {
  it('leaves the base as it was, learns, and comes back with the same bits', async () => {
    const run = open('whole');
    const before = valuesOf(run);
    await run.run();
    const after = valuesOf(run);
    for (const [name, values] of after)
      expect(values.join() !== before.get(name)!.join(), name).toBe(/\.lora/.test(name));
    run.close();
    const first = open('parts');
    await first.run({ untilStep: 4 });
    first.close();
    const second = open('parts', true);
    expect(second.startStep).toBe(4);
    await second.run();
    expect(valuesOf(second)).toEqual(after);
    second.close();
  });

  it('writes checkpoints whose readers merge', async () => {
    const run = open('merged');
    await run.run();
    const multiplied = run.trainer.model.multipliedParameters();
    const checkpoint = readCheckpoint(findCheckpoint(join(folder, 'merged'), 'latest'));
    for (const info of describeParameters(model)) {
      const merged = new Float32Array(sizeOf(info.shape));
      readParameter(checkpoint.model, info, merged);
      const stored = checkpoint.model.tensor(info.name).data as Float32Array;
      const [got, wanted] = [Array.from(merged), multiplied.get(info.name)!.data];
      got.forEach((value, i) => {
        expect(value, info.name).toBeCloseTo(wanted[i], 6);
      });
      expect(got.join() !== Array.from(stored).join(), info.name).toBe(/\.(qkv|down)$/.test(info.name));
    }
    checkpoint.close();
    run.close();
  });
});
