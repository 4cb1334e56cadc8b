/** What a resumed run goes on with: its own settings, and what is given anew. */

import { type ModelConfig, POINTS, THRESHOLD_PLACES } from '../../model/config.ts';
import { type ModelConfigInput, resolveConfig } from '../../model/resolve-config.ts';
import type { Recipe } from '../../train/recipes.ts';
import { holdsCheckpoint, type RunSettings } from '../../train/run-directory.ts';
import {
  defaultStageTwoLr,
  FIXED_ON_RESUME,
  resolveTrainConfig,
  type TrainConfig,
  type TrainConfigInput,
} from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import type { TextOptions } from './run-options.ts';

/**
 * `train` is what options give. The model and what decides the order of the data cannot change; `steps`, rates, intervals and the like can. `path` is that of the saved settings,
 * for messages. Ramps are not held against the length (fitRamps), which may be still to come. Throws UsageError that names the field.
 */
export function resumeSettings(
  saved: RunSettings,
  { model, train: fields }: { model: Partial<ModelConfigInput>; train: TrainConfigInput },
  path: string,
): RunSettings {
  refuseOtherModel(saved.model, model, path);
  const base: Partial<TrainConfig> = { ...saved.train };
  if (fields.tokens !== undefined) delete base.steps;
  if (fields.schedule !== undefined && fields.schedule !== base.schedule) {
    // They belong to the schedule that was.
    delete base.stageTwoLr;
    delete base.stageTwoWeightDecay;
  }
  // A rate of the second stage that followed from the first follows it again; one that was given stays.
  const { lr, stageTwoLr } = saved.train;
  if (fields.lr !== undefined && stageTwoLr === defaultStageTwoLr(lr)) delete base.stageTwoLr;
  const train = resolveTrainConfig({ ...base, ...fields }, saved.model.seqLen);
  for (const field of FIXED_ON_RESUME) {
    if (train[field] !== saved.train[field]) refuse(path, field, saved.train[field], train[field]);
  }
  return { ...saved, train };
}

/** What a recipe says of a run that goes on: its model must be that of the run; how it trains the run says itself, and options change it. */
export function recipeOnResume({ train: _train, ...recipe }: Recipe): Recipe {
  return recipe;
}

/** The text of a run that goes on: files that are named anew are read like those before. Throws UsageError for a field of no files. */
export function resumedText(saved: RunSettings['text'], { text, textField }: TextOptions): RunSettings['text'] {
  if (text !== undefined) return { paths: text, field: textField ?? saved.field };
  if (textField === undefined) return saved;
  throw new UsageError('--text-field', 'is of the files of --text, got none. Leave it out, or give --text.');
}

/** Whether a resumed run reads the model that it began with: before its first checkpoint, and later as the teacher alone. */
export function needsSource({ train }: RunSettings, directory: string): boolean {
  return train.distill > 0 || !holdsCheckpoint(directory);
}

/** Fields that are compared place by place. */
const BY_PLACE: readonly (keyof ModelConfig)[] = ['sparsity', 'thresholds', 'rescale'];

function refuseOtherModel(saved: ModelConfig, wanted: Partial<ModelConfigInput>, path: string): void {
  if (Object.keys(wanted).length === 0) return;
  // Before its fields are checked against each other.
  const { sparsifier = saved.sparsifier } = wanted;
  if (sparsifier !== saved.sparsifier) refuse(path, 'sparsifier', saved.sparsifier, sparsifier);
  const sparsity = typeof wanted.sparsity === 'number' ? wanted.sparsity : { ...saved.sparsity, ...wanted.sparsity };
  const thresholds = { ...saved.thresholds, ...wanted.thresholds };
  const rescale = typeof wanted.rescale === 'string' ? wanted.rescale : { ...saved.rescale, ...wanted.rescale };
  const model = resolveConfig({ ...saved, ...wanted, sparsity, thresholds, rescale });
  for (const field of Object.keys(saved) as (keyof ModelConfig)[]) {
    if (BY_PLACE.includes(field)) continue;
    if (model[field] !== saved[field]) refuse(path, field, saved[field], model[field]);
  }
  for (const point of POINTS) {
    refuseOther(path, `sparsity.${point}`, saved.sparsity[point], model.sparsity[point]);
    refuseOther(path, `rescale.${point}`, saved.rescale[point], model.rescale[point]);
  }
  for (const place of THRESHOLD_PLACES) {
    refuseOther(path, `thresholds.${place}`, saved.thresholds[place], model.thresholds[place]);
  }
}

function refuseOther(path: string, field: string, ...values: readonly [saved: unknown, wanted: unknown]): void {
  const [before, now] = values.map((value) => JSON.stringify(value));
  if (before !== now) refuse(path, field, before, now);
}

function refuse(path: string, field: string, expected: unknown, got: unknown): never {
  throw new UsageError(
    '--resume',
    `${field} cannot change inside a run: ${path} has ${expected}, got ${got}. Leave the option out, or start a new run ` +
      'with another --out.',
  );
}
