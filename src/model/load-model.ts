/**
 * loadModel: a checkpoint directory becomes weights in a backend's memory, ready for an Engine.
 *
 * Reads only what inference needs: configuration, weights, tokenizer; no gradients, no optimiser. What a checkpoint
 * directory looks like on disk belongs to formats/checkpoint-directory.ts, what is in one to train/checkpointing.ts.
 */

import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { type Checkpoint, findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import { type FloatTensor, shapeText } from '../tensor/tensor.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { type ModelConfig, type ModelConfigInput, resolveConfig } from './config.ts';
import { describeParameters } from './parameters.ts';

export interface LoadedModel {
  readonly config: ModelConfig;
  /** By name, in the backend's memory, f32. */
  readonly parameters: ReadonlyMap<string, FloatTensor>;
  /** The contents of tokenizer.json. */
  readonly tokenizer: unknown;
  /** The checkpoint's directory and training step. */
  readonly path: string;
  readonly step: number;
  /** Bytes of the weights in memory. */
  readonly bytes: number;
  /** Frees the weights. */
  dispose(): void;
}

/**
 * Loads the best (or latest) checkpoint of a run, or the checkpoint directory itself. Throws FormatError where there
 * is none, where its configuration is none of ours, or where a tensor is missing or of another shape or dtype.
 */
export function loadModel(path: string, backend: Backend, which: 'best' | 'latest' = 'best'): LoadedModel {
  const checkpoint = readCheckpoint(findCheckpoint(path, which));
  const arena = new Arena(backend);
  try {
    const config = configOf(checkpoint);
    const parameters = readParameters(checkpoint, config, arena);
    const { tokenizer, step } = checkpoint;
    const { bytes } = arena;
    return { config, parameters, tokenizer, path: checkpoint.path, step, bytes, dispose: () => arena.free() };
  } catch (error) {
    arena.free();
    throw error;
  } finally {
    checkpoint.close();
  }
}

function configOf(checkpoint: Checkpoint): ModelConfig {
  try {
    return resolveConfig(checkpoint.config as unknown as ModelConfigInput);
  } catch (error) {
    const path = `${checkpoint.path}/config.json`;
    throw new FormatError('load-model', `${path}: ${messageOf(error)}`, path, { cause: error });
  }
}

function readParameters(checkpoint: Checkpoint, config: ModelConfig, arena: Arena): Map<string, FloatTensor> {
  const parameters = new Map<string, FloatTensor>();
  for (const { name, shape } of describeParameters(config)) {
    const entry = checkpoint.model.tensor(name);
    if (entry.dtype !== 'F32' || shapeText(entry.shape) !== shapeText(shape)) {
      throw new FormatError(
        'load-model',
        `${checkpoint.model.path}: ${name}: expected F32 ${shapeText(shape)}, got ${entry.dtype} ` +
          `${shapeText(entry.shape)}. Does config.json belong to these weights?`,
        checkpoint.model.path,
      );
    }
    const tensor = arena.tensor('f32', shape);
    tensor.data.set(entry.data as Float32Array);
    parameters.set(name, tensor);
  }
  return parameters;
}
