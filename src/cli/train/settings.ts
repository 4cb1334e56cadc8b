/**
 * What a run of `qsparse train` is made of: options over recipe over preset over defaults; on resume, options over the
 * settings of the run.
 *
 * Defaults of this command beyond those of the configurations: the shape `quickstart`, 60 % of every dense projection
 * input set to zero (by top-K or blocks), and a small L1 term that keeps the gates of the feed-forward closed. `--sparsity 0` drops both
 * and gives the dense twin: the same shape, data and seed. `--experts 0` drops all that a recipe says of a mixture.
 */

import { type ModelConfig, type ModelConfigInput, resolveConfig, type Sparsity } from '../../model/config.ts';
import { preset } from '../../model/presets.ts';
import type { Recipe } from '../../train/recipes.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import { resolveTrainConfig, type TrainConfig } from '../../train/train-config.ts';
import { resumeSettings } from './resume-settings.ts';
import { trainFieldsOf } from './run-options.ts';
import { modelFieldsOf, type TrainCommandOptions } from './train-options.ts';

const DEFAULT_PRESET = 'quickstart';
/** The paper's middle ground: most of the speed, a loss close to dense. */
const DEFAULT_SPARSITY = 0.6;
const DEFAULT_HIDDEN_L1 = 3e-4;

/** The settings of a new run but for its text; the size of the vocabulary is that of the tokenizer later on. */
export function newSettings(options: TrainCommandOptions, recipe: Recipe): { model: ModelConfig; train: TrainConfig } {
  const model = resolveConfig(withSparseDefaults(mergedModel(options, recipe)));
  const train = resolveTrainConfig(mergedTrain(recipe.train ?? {}, trainFieldsOf(options)), model.seqLen);
  return { model, train };
}

/** The settings of a run to go on with, see resumeSettings. */
export function resumedSettings(
  saved: RunSettings,
  options: TrainCommandOptions,
  recipe: Recipe,
  path: string,
): RunSettings {
  const model = { ...presetOf(options, recipe), ...recipe.model, ...modelFieldsOf(options) };
  return resumeSettings(saved, { model, train: { ...recipe.train, ...trainFieldsOf(options) } }, path);
}

function mergedModel(options: TrainCommandOptions, recipe: Recipe): ModelConfigInput {
  const given = modelFieldsOf(options);
  const base: Partial<ModelConfigInput> = preset(options.preset ?? recipe.preset ?? DEFAULT_PRESET);
  // A preset that is asked for on the command line replaces the shape of the recipe.
  const shape = options.preset === undefined ? { ...base, ...recipe.model } : { ...recipe.model, ...base };
  // Another width or other heads: what follows from them is derived again instead of kept from the preset.
  if (given.dim !== undefined) delete shape.hiddenDim;
  if (given.dim !== undefined || given.nHeads !== undefined) delete shape.headDim;
  if (given.nHeads !== undefined) delete shape.nKvHeads;
  if (given.nExperts === 0) {
    for (const field of ['nExpertsPerToken', 'routerLoadBalance', 'routerZLoss'] as const) delete shape[field];
  }
  return { ...shape, ...given } as ModelConfigInput;
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
function mergedTrain(recipe: NonNullable<Recipe['train']>, given: NonNullable<Recipe['train']>) {
  const { steps, tokens, ...rest } = recipe;
  const length = given.steps !== undefined || given.tokens !== undefined ? {} : defined({ steps, tokens });
  return { ...rest, ...length, ...given };
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function presetOf(options: TrainCommandOptions, recipe: Recipe): Partial<ModelConfigInput> {
  const name = options.preset ?? recipe.preset;
  return name === undefined ? {} : preset(name);
}
