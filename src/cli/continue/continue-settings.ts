/**
 * What a run of `qsparse continue` is made of: the configuration of the model that it begins with, under recipe and options.
 *
 * A dense model becomes one with the zeros of Q-Sparse's conversions (40 % before q, k, v, o, gate and up, 60 % before down; arXiv 2407.10969, table 2);
 * a sparse one stays as it is. Its gate stays too, unless a ReLU is asked for; another sparsifier begins with nothing of the former one. Rates are those
 * of the paper's continue-training (table 7).
 */

import { isRelu, type ModelConfig, type Sparsifier } from '../../model/config.ts';
import { isSparse } from '../../model/qsparse-key.ts';
import { type ModelConfigInput, resolveConfig } from '../../model/resolve-config.ts';
import type { Recipe } from '../../train/recipes.ts';
import { resolveTrainConfig, type TrainConfig, type TrainConfigInput } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import { checkMethodRecipe } from '../training/check-method-recipe.ts';
import { fitRamps } from '../training/fit-ramps.ts';
import { methodFieldsOf, refuseBlockSize } from '../training/method-options.ts';
import { given as givenFields } from '../training/option-kinds.ts';
import { refuseIdleRamps } from '../training/refuse-idle-ramps.ts';
import { trainFieldsOf } from '../training/run-options.ts';
import type { ContinueOptions } from './continue-options.ts';

/** The share of zeros that a dense model gets. */
const DENSE_POINTS = { qkv: 0.4, o: 0.4, gateUp: 0.4 } as const;
const SHARE_AT_DOWN = 0.6;

const DEFAULT_REPLAY_SHARE = 0.1;
/** Sequences that fit beside a model of a hundred million parameters; its context would be far longer. */
const DEFAULT_SEQ_LEN = 512;
const TRAIN_DEFAULTS = { lr: 5e-5, minLr: 1e-6, weightDecay: 0.01, clip: 2, batchSize: 4 } as const;

/** Of a model with the configuration `from`. Throws UsageError where recipe or options ask for another shape, or for what does not go together. */
export function continueSettings(
  from: ModelConfig,
  options: ContinueOptions,
  recipe: Recipe,
): { model: ModelConfig; train: TrainConfig } {
  const wanted = wantedOf(options, recipe);
  const model = resolveConfig(modelInput(from, wanted.model));
  const seqLen = Math.min(DEFAULT_SEQ_LEN, model.seqLen);
  const train = resolveTrainConfig(trainInput(seqLen, wanted.train), model.seqLen);
  refuseBlockSize(options, model);
  refuseIdleRamps(options, model);
  refuseTemperature(options, train);
  return { model, train: fitRamps(train, trainFieldsOf(options)) };
}

/** Throws UsageError for --distill-temperature where nothing is distilled. */
export function refuseTemperature({ distillTemperature }: ContinueOptions, { distill }: TrainConfig): void {
  if (distillTemperature === undefined || distill > 0) return;
  throw new UsageError('--distill-temperature', 'is for --distill, which is 0. Leave it out, or give --distill.');
}

/**
 * What recipe and options say, the options over the recipe; `savedShare` is what a run that goes on replays. Throws UsageError for a recipe of a shape.
 */
export function wantedOf(
  options: ContinueOptions,
  recipe: Recipe,
  savedShare = 0,
): { model: Partial<ModelConfigInput>; train: TrainConfigInput } {
  checkMethodRecipe(recipe);
  const own = pick(options, ['seqLen', 'skipTokens', 'distill', 'distillTemperature', 'replayShare']);
  const hasShare = (options.replayShare ?? recipe.train?.replayShare ?? savedShare) > 0;
  const replay = options.replay && !hasShare ? { replayShare: DEFAULT_REPLAY_SHARE } : {};
  const given = { ...trainFieldsOf(options), ...replay, ...own };
  const { steps, tokens, ...rest } = recipe.train ?? {};
  // One may say `steps` and the other `tokens`: the later one holds.
  const length = given.steps === undefined && given.tokens === undefined ? recipe.train : {};
  const train = { ...rest, ...(length?.steps && { steps }), ...(length?.tokens && { tokens }), ...given };
  return { model: { ...recipe.model, ...methodFieldsOf(options) }, train };
}

/** The fields among them that were given. */
function pick<T extends object, K extends keyof T>(options: T, fields: readonly K[]) {
  return givenFields(Object.fromEntries(fields.map((field) => [field, options[field]])) as Pick<T, K>);
}

function modelInput(from: ModelConfig, wanted: Partial<ModelConfigInput>): ModelConfigInput {
  const sparsifier = wanted.sparsifier ?? (isSparse(from) ? from.sparsifier : 'topk');
  const activation = wanted.activation ?? activationFor(sparsifier, from);
  const { sparsity, thresholds, gradient, ...base } = from;
  const kept = sparsifier === from.sparsifier && isSparse(from) ? { sparsity, thresholds, gradient } : {};
  const takesShares = sparsifier === 'topk' || sparsifier === 'block';
  const down = activation === 'silu' ? SHARE_AT_DOWN : 0;
  const fresh = takesShares && !('sparsity' in kept) ? { sparsity: { ...DENSE_POINTS, down } } : {};
  return { ...base, ...kept, ...fresh, ...wanted, sparsifier, activation };
}

/** A ReLU in front of projections takes the place of the gate's SiLU first. */
function activationFor(sparsifier: Sparsifier, { activation }: ModelConfig): ModelConfig['activation'] {
  if (sparsifier === 'drelu') return 'relu';
  return isRelu(sparsifier) && activation === 'silu' ? 'relu' : activation;
}

/** The length of the run is the default's only where none was given; the last rate goes with the first. */
function trainInput(seqLen: number, wanted: TrainConfigInput): TrainConfigInput {
  const { minLr, ...defaults } = TRAIN_DEFAULTS;
  return { seqLen, ...defaults, ...(wanted.lr === undefined && { minLr }), ...wanted };
}
