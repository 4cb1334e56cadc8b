/** What a run of `qsparse sft` is made of: the configuration of the model that it begins with, under recipe and options. The model stays as it is by default. */

import type { ModelConfig } from '../../model/config.ts';
import { type ModelConfigInput, resolveConfig } from '../../model/resolve-config.ts';
import type { Recipe } from '../../train/recipes.ts';
import { resolveTrainConfig, type TrainConfig, type TrainConfigInput } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import { checkMethodRecipe } from '../training/check-method-recipe.ts';
import { methodFieldsOf, refuseBlockSize } from '../training/method-options.ts';
import { given } from '../training/option-kinds.ts';
import { refuseIdleRamps } from '../training/refuse-idle-ramps.ts';
import { refuseReplay } from '../training/refuse-unfit-recipe.ts';
import { trainFieldsOf } from '../training/run-options.ts';
import type { SftOptions } from './sft-options.ts';

const DEFAULT_SEQ_LEN = 1024;
/** Adapters begin at nothing and have further to go. */
const LORA_LR = 2e-4;
const TRAIN_DEFAULTS = { lr: 2e-5, weightDecay: 0, batchSize: 4, validationShare: 0.05 } as const;

/** Of a model with the configuration `from`; the number of steps is not that of the data yet, nor do ramps fit it (fitRamps). Throws UsageError. */
export function sftSettings(
  from: ModelConfig,
  options: SftOptions,
  recipe: Recipe,
): { model: ModelConfig; train: TrainConfig } {
  const { model: method, train } = wantedOf(options, recipe);
  const model = resolveConfig(modelInput(from, method));
  const seqLen = Math.min(DEFAULT_SEQ_LEN, model.seqLen);
  const resolved = resolveTrainConfig(
    { ...TRAIN_DEFAULTS, ...(train.loraRank && { lr: LORA_LR }), seqLen, ...train },
    model.seqLen,
  );
  refuseBlockSize(options, model);
  refuseIdleRamps(options, model);
  refuseReplay(resolved, 'sft');
  refuseAdapterOptions(options, resolved);
  return { model, train: resolved };
}

/** What recipe and options say, the options over the recipe. Throws UsageError where they say twice how long the run is, and for a recipe of a shape. */
export function wantedOf(
  options: SftOptions,
  recipe: Recipe,
): { model: Partial<ModelConfigInput>; train: TrainConfigInput } {
  checkMethodRecipe(recipe);
  const { epochs, steps, tokens, seqLen, lora: loraRank, loraAlpha, loraPoints } = options;
  if (epochs !== undefined && (steps !== undefined || tokens !== undefined)) {
    throw new UsageError('--epochs', 'and --steps or --tokens both say how long the run is. Give one of them.');
  }
  const { steps: _steps, tokens: _tokens, ...method } = recipe.train ?? {};
  const ofRecipe = [epochs, steps, tokens].every((length) => length === undefined) ? recipe.train : method;
  return {
    model: { ...recipe.model, ...methodFieldsOf(options) },
    train: { ...ofRecipe, ...trainFieldsOf(options), ...given({ seqLen, loraRank, loraAlpha, loraPoints }) },
  };
}

/** Throws UsageError for options of adapters where all weights are trained. */
export function refuseAdapterOptions({ loraAlpha, loraPoints }: SftOptions, { loraRank }: TrainConfig): void {
  if (loraRank > 0 || (loraAlpha === undefined && loraPoints === undefined)) return;
  const option = loraAlpha === undefined ? '--lora-points' : '--lora-alpha';
  throw new UsageError(option, 'is for adapters, and all weights are trained. Leave it out, or give --lora.');
}

/** Steps that see every one of `rows` so many times; undefined where recipe or options give the length. */
export function stepsOf(
  options: SftOptions,
  recipe: Recipe,
  rows: number,
  { batchSize, accumulate }: TrainConfig,
): number | undefined {
  const { epochs, resume } = options;
  const { steps, tokens } = wantedOf(options, recipe).train;
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
