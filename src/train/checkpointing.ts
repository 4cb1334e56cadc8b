/**
 * What of a trainer goes into a checkpoint, and back: parameters, both moments of AdamW, and the progress.
 *
 * Batches and schedules are functions of the step, so this is all. Tensors have the names of the parameters; those of the optimiser
 * the names that AdamW gives them. Where adapters are trained they stand beside the parameters.
 * How the files lie on the disk and survive a crash belongs to formats/checkpoint-directory.ts.
 */

import { type Checkpoint, saveCheckpoint } from '../formats/checkpoint-directory.ts';
import type { SafetensorsFile, TensorData, TensorEntry } from '../formats/safetensors.ts';
import { ADAPTER_SCALE, configOf } from '../model/checkpoint-parameters.ts';
import type { ModelConfig } from '../model/config.ts';
import { shapeText, type Tensor } from '../tensor/tensor.ts';
import { FormatError } from '../util/errors.ts';
import type { Trainer, TrainingProgress } from './trainer.ts';

/** Saves the state of a trainer under its step; returns the directory. Throws FormatError where writing fails. */
export function saveTrainer(
  runDirectory: string,
  trainer: Trainer,
  options: { tokenizer: object | string; tokenizerConfig?: object | null; best: boolean },
): string {
  const { progress, config, model, optimizer } = trainer;
  // In the middle of a spike the older ones stay: if it turns out to be divergence, they are what is left to go on from.
  const keepLast = progress.lossStreak > 0 ? Number.POSITIVE_INFINITY : config.keepLast;
  return saveCheckpoint(runDirectory, {
    step: progress.step,
    keepLast,
    best: options.best,
    files: {
      config: model.config,
      tokenizer: options.tokenizer,
      tokenizerConfig: options.tokenizerConfig ?? null,
      state: { progress, train: config },
      model: [...model.stored.map(({ name, value }) => entry(name, value)), ...scaleEntry(model.adapterScale)],
      optimizer: optimizer.state.map(({ name, tensor }) => entry(name, tensor)),
    },
  });
}

/** The progress that a checkpoint was saved with. Throws FormatError where a field is missing or of another type. */
export function progressOf(checkpoint: Checkpoint): TrainingProgress {
  const progress = (checkpoint.state.progress ?? {}) as Record<string, unknown>;
  for (const field of ['step', 'tokens', 'seconds', 'lossStreak']) {
    if (typeof progress[field] === 'number') continue;
    fail(
      checkpoint.path,
      `state.json: state.progress.${field} must be a number, got ${JSON.stringify(progress[field])}.`,
    );
  }
  if (!Array.isArray(progress.lossWindow))
    fail(checkpoint.path, 'state.json: state.progress.lossWindow must be an array.');
  return progress as unknown as TrainingProgress;
}

/**
 * Puts the tensors of a checkpoint into a trainer of the same model. Throws FormatError that names file and tensor, with
 * the shape expected and found, or the field of the configuration that differs.
 */
export function restoreTrainer(checkpoint: Checkpoint, trainer: Trainer): void {
  const { model, optimizer } = trainer;
  checkModel(checkpoint, model.config);
  if (checkpoint.optimizer === null) {
    fail(
      checkpoint.path,
      'optimizer.safetensors is missing: the run cannot go on from here exactly. Use another checkpoint.',
    );
  }
  for (const { name, value } of model.stored) read(checkpoint.model, name, value);
  for (const { name, tensor } of optimizer.state) read(checkpoint.optimizer, name, tensor);
}

/** A checkpoint of before a field existed has its default. */
function checkModel(checkpoint: Checkpoint, config: ModelConfig): void {
  const saved = configOf(checkpoint);
  for (const field of Object.keys(config) as (keyof ModelConfig)[]) {
    const [expected, found] = [config[field], saved[field]].map((value) => JSON.stringify(value));
    if (expected !== found) {
      fail(checkpoint.path, `config.json: ${field} is of another model: expected ${expected}, found ${found}.`);
    }
  }
}

/** What the adapters of a model are multiplied with; nothing of one without. */
function scaleEntry(scale: number | null): TensorEntry[] {
  return scale === null ? [] : [{ name: ADAPTER_SCALE, dtype: 'F32', shape: [1], data: Float32Array.of(scale) }];
}

/** What a trainer keeps, by the names of safetensors. */
const DTYPES = { f32: 'F32', f64: 'F64', u8: 'U8' } as const;

function dtypeOf(tensor: Tensor): (typeof DTYPES)[keyof typeof DTYPES] {
  return DTYPES[tensor.dtype as keyof typeof DTYPES];
}

function entry(name: string, tensor: Tensor): TensorEntry {
  return { name, dtype: dtypeOf(tensor), shape: tensor.shape, data: tensor.data as TensorData };
}

function read(file: SafetensorsFile, name: string, into: Tensor): void {
  const { shape, data, dtype } = file.tensor(name);
  const wanted = dtypeOf(into);
  if (dtype !== wanted || shapeText(shape) !== shapeText(into.shape)) {
    const expected = `${wanted} ${shapeText(into.shape)}`;
    fail(file.path, `tensor ${name}: expected ${expected}, found ${dtype} ${shapeText(shape)}.`);
  }
  into.data.set(data as Float32Array);
}

function fail(path: string, message: string): never {
  throw new FormatError('checkpoint', `${path}: ${message}`, path);
}
