/** What a run of `qsparse sft` is made of: the configuration of the model that it begins with, under the options. The model stays as it is by default. */

import { type ModelConfig, type ModelConfigInput, resolveConfig } from '../../model/config.ts';
import { resolveTrainConfig, type TrainConfig, type TrainConfigInput } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import { methodFieldsOf } from '../train/method-options.ts';
import { given } from '../train/option-kinds.ts';
import { trainFieldsOf } from '../train/run-options.ts';
import type { SftOptions } from './sft-options.ts';

const DEFAULT_SEQ_LEN = 1024;
/** Adapters begin at nothing and have further to go. */
const LORA_LR = 2e-4;
const TRAIN_DEFAULTS = { lr: 2e-5, weightDecay: 0, batchSize: 4, validationShare: 0.05 } as const;

/** Of a model with the configuration `from`; the number of steps is not that of the data yet. Throws UsageError. */
export function sftSettings(from: ModelConfig, options: SftOptions): { model: ModelConfig; train: TrainConfig } {
  const { model: method, train } = wantedOf(options);
  const model = resolveConfig(modelInput(from, method));
  const seqLen = Math.min(DEFAULT_SEQ_LEN, model.seqLen);
  return {
    model,
    train: resolveTrainConfig(
      { ...TRAIN_DEFAULTS, ...(options.lora && { lr: LORA_LR }), seqLen, ...train },
      model.seqLen,
    ),
  };
}

/** What the options say. Throws UsageError where they say twice how long the run is. */
export function wantedOf(options: SftOptions): { model: Partial<ModelConfigInput>; train: TrainConfigInput } {
  const { epochs, steps, tokens, seqLen, lora: loraRank, loraAlpha, loraPoints } = options;
  if (epochs !== undefined && (steps !== undefined || tokens !== undefined)) {
    throw new UsageError('--epochs', 'and --steps or --tokens both say how long the run is. Give one of them.');
  }
  return {
    model: methodFieldsOf(options),
    train: { ...trainFieldsOf(options), ...given({ seqLen, loraRank, loraAlpha, loraPoints }) },
  };
}

/** Steps that see every one of `rows` so many times; undefined where the options give the length. */
export function stepsOf(
  { epochs, steps, tokens, resume }: SftOptions,
  rows: number,
  { batchSize, accumulate }: TrainConfig,
): number | undefined {
  const isGiven = steps !== undefined || tokens !== undefined;
  if (isGiven || (resume && epochs === undefined)) return undefined;
  return Math.max(1, Math.ceil(((epochs ?? 1) * rows) / (batchSize * accumulate)));
}

/** Another sparsifier begins with nothing of the former one. */
function modelInput(from: ModelConfig, wanted: Partial<ModelConfigInput>): ModelConfigInput {
  const { sparsifier = from.sparsifier } = wanted;
  if (sparsifier === from.sparsifier) return { ...from, ...wanted };
  const { sparsity: _sparsity, thresholds: _thresholds, gradient: _gradient, ...rest } = from;
  return { ...rest, ...wanted };
}
