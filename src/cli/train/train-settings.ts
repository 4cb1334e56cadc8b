/**
 * What a run of `qsparse train` is made of: options over recipe over preset over defaults; on resume, options over the
 * settings of the run. Of preset and recipe a resumed run must have the model; how it trains it says itself.
 *
 * Defaults of this command beyond those of the configurations: the shape `quickstart`, 60 % of every dense projection
 * input set to zero (by top-K or blocks), and a small L1 term that keeps the gates of the feed-forward closed. `--sparsity 0` drops both
 * and gives the dense twin: the same shape, data and seed. `--experts 0` drops all that a recipe says of a mixture.
 */

import type { ModelConfig, Sparsity } from '../../model/config.ts';
import { preset } from '../../model/presets.ts';
import { type ModelConfigInput, resolveConfig } from '../../model/resolve-config.ts';
import type { Recipe } from '../../train/recipes.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import { resolveTrainConfig, type TrainConfig, type TrainConfigInput } from '../../train/train-config.ts';
import { fitRamps } from '../training/fit-ramps.ts';
import { refuseBlockSize } from '../training/method-options.ts';
import { given } from '../training/option-kinds.ts';
import { refuseIdleRamps } from '../training/refuse-idle-ramps.ts';
import { refuseReplay, refuseWithoutModel } from '../training/refuse-unfit-recipe.ts';
import { resumeSettings } from '../training/resume-settings.ts';
import { trainFieldsOf } from '../training/run-options.ts';
import { modelFieldsOf, type TrainCommandOptions } from './train-options.ts';

const DEFAULT_PRESET = 'quickstart';
/** Where zeros pay in seconds here (docs/training-speed.md); the paper trains from scratch at 0.3 (docs/notation.md). */
const DEFAULT_SPARSITY = 0.6;
const DEFAULT_HIDDEN_L1 = 3e-4;

/** The settings of a new run but for its text; the size of the vocabulary is that of the tokenizer later on. */
export function newSettings(options: TrainCommandOptions, recipe: Recipe): { model: ModelConfig; train: TrainConfig } {
  const shape = presetOf(options, { preset: recipe.preset ?? DEFAULT_PRESET });
  const model = resolveConfig(withSparseDefaults(mergedModel(options, recipe, shape) as ModelConfigInput));
  refuseBlockSize(options, model);
  refuseIdleRamps(options, model);
  const fields = trainFieldsOf(options);
  const train = resolveTrainConfig(mergedTrain(recipe.train ?? {}, fields), model.seqLen);
  refuseReplay(train, 'train');
  refuseWithoutModel(train, 'train');
  return { model, train: fitRamps(train, fields) };
}

/** The settings of a run to go on with, see resumeSettings. */
export function resumedSettings(
  saved: RunSettings,
  options: TrainCommandOptions,
  recipe: Recipe,
  path: string,
): RunSettings {
  // Preset and recipe say how large a vocabulary is to be trained; that of the run is what its tokenizer has.
  const { vocabSize: _wanted, ...shape } = mergedModel(options, recipe, presetOf(options, recipe));
  const model = { ...shape, ...given({ vocabSize: options.vocabSize }) };
  const fields = trainFieldsOf(options);
  const settings = resumeSettings(saved, { model, train: fields }, path);
  return { ...settings, train: fitRamps(settings.train, fields, saved.train) };
}

/** The options over recipe and preset, `base`. */
function mergedModel(
  options: TrainCommandOptions,
  recipe: Recipe,
  base: Partial<ModelConfigInput>,
): Partial<ModelConfigInput> {
  const fields = modelFieldsOf(options);
  // A preset that is asked for on the command line replaces the shape of the recipe.
  const shape = options.preset === undefined ? { ...base, ...recipe.model } : { ...recipe.model, ...base };
  // Another width or other heads: what follows from them is derived again instead of kept from the preset.
  if (fields.dim !== undefined) delete shape.hiddenDim;
  if (fields.dim !== undefined || fields.nHeads !== undefined) delete shape.headDim;
  if (fields.nHeads !== undefined) delete shape.nKvHeads;
  if (fields.nExperts === 0) {
    for (const field of ['nExpertsPerToken', 'routerLoadBalance', 'routerZLoss'] as const) delete shape[field];
  }
  return { ...shape, ...fields };
}

function withSparseDefaults(model: ModelConfigInput): ModelConfigInput {
  const { sparsifier = 'topk' } = model;
  const takesShares = sparsifier === 'topk' || sparsifier === 'block';
  const sparsity = model.sparsity ?? (takesShares ? DEFAULT_SPARSITY : 0);
  const relu = model.activation !== 'silu';
  const hiddenL1 = model.hiddenL1 ?? (relu && !isDense(sparsity) ? DEFAULT_HIDDEN_L1 : 0);
  return { ...model, sparsity, hiddenL1 };
}

function isDense(sparsity: NonNullable<ModelConfigInput['sparsity']>): boolean {
  const points: readonly Sparsity[] = typeof sparsity === 'number' ? [sparsity] : Object.values(sparsity);
  return points.flat().every((share) => share === 0);
}

/** One may say `steps` and the other `tokens`: the later one holds. */
function mergedTrain(recipe: TrainConfigInput, options: TrainConfigInput): TrainConfigInput {
  const { steps, tokens, ...rest } = recipe;
  const length = options.steps !== undefined || options.tokens !== undefined ? {} : given({ steps, tokens });
  return { ...rest, ...length, ...options };
}

function presetOf(options: TrainCommandOptions, recipe: Recipe): Partial<ModelConfigInput> {
  const name = options.preset ?? recipe.preset;
  return name === undefined ? {} : preset(name);
}
