/**
 * loadModel: a model on the disk becomes weights in a backend's memory, ready for an Engine; a checkpoint of training and a packed model
 * (`qsparse convert`) alike.
 *
 * Reads only what inference needs: configuration, weights, tokenizer; no gradients, no optimiser. A packed model is mapped where the
 * backend can: opening it reads its header alone, and several processes share one copy. What lies on the disk belongs to formats/.
 */

import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import { holdsPackedModel, readPackedDirectory } from '../formats/packed-directory.ts';
import type { PackedFile } from '../formats/packed-file.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import type { WeightType } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';
import { configOf, readParameters, toMultiplied } from './checkpoint-parameters.ts';
import type { ModelConfig } from './config.ts';
import { describeParameters } from './parameters.ts';
import { readPackedWeights } from './read-packed-weights.ts';
import { ffnsOf, type ModelWeights, weightsOfParameters } from './weights.ts';

export interface LoadModelOptions {
  /** Which checkpoint of a run. Default: best. */
  which?: 'best' | 'latest';
  /** false: a packed model is read into the backend's memory (huge pages, where it has them) instead of being mapped. */
  mmap?: boolean;
  /** Compare the hashes of a packed model, which reads it whole. Default: below 64 MiB, where it takes no time. */
  verify?: boolean;
}

/** The weight types of a model. */
export interface WeightTypes {
  /** Of all projections, each type once. */
  readonly projections: readonly WeightType[];
  readonly embedding: WeightType;
  readonly head: WeightType;
}

export interface LoadedModel {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly dtypes: WeightTypes;
  /** Whether it is a packed model. */
  readonly packed: boolean;
  /**
   * By name, in the backend's memory, f32, as they are multiplied: of a ternary model not the latent numbers, which `loadParameters` gives.
   * Throws FormatError for a packed model, which has none.
   */
  readonly parameters: ReadonlyMap<string, FloatTensor>;
  /** The contents of tokenizer.json. */
  readonly tokenizer: unknown;
  /** The contents of tokenizer_config.json, of a model that came from another program; null otherwise. */
  readonly tokenizerConfig: object | null;
  /** The directory or file, and the training step of the checkpoint that it is or was made of; 0 for a model of another program. */
  readonly path: string;
  readonly step: number;
  /** Bytes of the weights in memory, mapped ones included. */
  readonly bytes: number;
  /** Frees the weights. */
  dispose(): void;
}

/** A model with the f32 parameters that training starts from. */
export type LoadedParameters = Pick<
  LoadedModel,
  'config' | 'parameters' | 'tokenizer' | 'tokenizerConfig' | 'path' | 'step' | 'bytes' | 'dispose'
>;

/** Hashing reads every byte: at this size a fraction of a second, later the part of loading that is noticed. */
const VERIFIED_BELOW_BYTES = 64 * 2 ** 20;

/**
 * Loads the best (or latest) checkpoint of a run, a checkpoint directory, or a packed model. Throws FormatError where there
 * is none, where its configuration is none of ours, or where a tensor is missing, damaged or of another shape or dtype.
 */
export function loadModel(path: string, backend: Backend, options: LoadModelOptions = {}): LoadedModel {
  const directory = findCheckpoint(path, options.which ?? 'best');
  if (holdsPackedModel(directory)) return loadPacked(directory, backend, options);
  const loaded = readTrained(directory, backend);
  for (const info of describeParameters(loaded.config)) {
    toMultiplied(loaded.config, info, loaded.parameters.get(info.name)!.data as Float32Array);
  }
  const weights = weightsOfParameters(loaded.config, loaded.parameters);
  return { ...loaded, weights, dtypes: weightTypesOf(weights), packed: false };
}

/** The configuration of what `loadModel` would load, without its weights. Throws FormatError where there is none, or none of ours. */
export function readModelConfig(path: string, { which = 'best' }: Pick<LoadModelOptions, 'which'> = {}): ModelConfig {
  const directory = findCheckpoint(path, which);
  const opened = holdsPackedModel(directory) ? readPackedDirectory(directory) : readCheckpoint(directory);
  try {
    return configOf(opened);
  } finally {
    opened.close();
  }
}

/**
 * The f32 parameters of a checkpoint of training, for going on with it. Throws FormatError as loadModel does, and for a packed model:
 * what rounding took away cannot be trained on.
 */
export function loadParameters(
  path: string,
  backend: Backend,
  { which = 'best' }: Pick<LoadModelOptions, 'which'> = {},
): LoadedParameters {
  const directory = findCheckpoint(path, which);
  if (holdsPackedModel(directory)) throw noParameters(directory);
  return readTrained(directory, backend);
}

function readTrained(directory: string, backend: Backend): LoadedParameters {
  const checkpoint = readCheckpoint(directory);
  const arena = new Arena(backend);
  try {
    const config = configOf(checkpoint);
    const parameters = readParameters(checkpoint, config, arena);
    const { tokenizer, tokenizerConfig, step, path } = checkpoint;
    return {
      ...{ config, parameters, tokenizer, tokenizerConfig, path, step },
      ...{ bytes: arena.bytes, dispose: () => arena.free() },
    };
  } catch (error) {
    arena.free();
    throw error;
  } finally {
    checkpoint.close();
  }
}

function loadPacked(directory: string, backend: Backend, { mmap = true, verify }: LoadModelOptions): LoadedModel {
  const { path, config: input, tokenizer, tokenizerConfig, model, close } = readPackedDirectory(directory);
  const arena = new Arena(backend);
  try {
    const config = configOf({ path, config: input });
    if (verify ?? bytesOf(model) < VERIFIED_BELOW_BYTES) for (const name of model.tensors.keys()) model.verify(name);
    const weights = readPackedWeights(model, config, arena, { mmap });
    return {
      ...{ config, weights, dtypes: weightTypesOf(weights), packed: true, tokenizer, tokenizerConfig, path },
      ...{ step: model.step, bytes: arena.bytes, dispose: () => arena.free() },
      get parameters(): never {
        throw noParameters(path);
      },
    };
  } catch (error) {
    arena.free();
    throw error;
  } finally {
    close();
  }
}

function bytesOf({ tensors }: PackedFile): number {
  return [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
}

function noParameters(path: string): FormatError {
  const what =
    'is a packed model: expected a checkpoint with f32 parameters. Name the run or checkpoint that it was made of';
  return new FormatError('load-model', `${path} ${what}.`, path);
}

/** The types that the matrices are stored in. */
export function weightTypesOf({ embedding, head, layers }: ModelWeights): WeightTypes {
  const projections = layers.flatMap(({ qkv, o, feedForward }) => {
    const matrices = ffnsOf(feedForward).flatMap(({ layout, subNorm, ...matrices }) => Object.values(matrices));
    return [qkv, o, ...matrices].map(({ dtype }) => dtype);
  });
  return { projections: [...new Set(projections)], embedding: embedding.dtype, head: head.dtype };
}
