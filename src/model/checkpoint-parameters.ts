/**
 * The configuration and the f32 parameters of a checkpoint of training, checked: what loading and packing read.
 */

import type { Arena } from '../arena.ts';
import type { Checkpoint } from '../formats/checkpoint-directory.ts';
import type { SafetensorsFile } from '../formats/safetensors.ts';
import type { TensorInfo } from '../formats/safetensors-header.ts';
import { type FloatTensor, shapeText } from '../tensor/tensor.ts';
import { ternarizeProjections } from '../tensor/ternary.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { type ModelConfig, type ModelConfigInput, resolveConfig } from './config.ts';
import { describeParameters, type ParameterInfo } from './parameters.ts';

/** The configuration of a directory with a config.json. Throws FormatError that names the field. */
export function configOf({ path, config }: { path: string; config: Record<string, unknown> }): ModelConfig {
  try {
    return resolveConfig(config as unknown as ModelConfigInput);
  } catch (error) {
    const file = `${path}/config.json`;
    throw new FormatError('load-model', `${file}: ${messageOf(error)}`, file, { cause: error });
  }
}

/** All parameters, read straight into memory of `arena`. Throws FormatError for a tensor that is missing or of another shape or dtype. */
export function readParameters(checkpoint: Checkpoint, config: ModelConfig, arena: Arena): Map<string, FloatTensor> {
  const parameters = new Map<string, FloatTensor>();
  for (const info of describeParameters(config)) {
    const tensor = arena.tensor('f32', info.shape);
    readParameter(checkpoint.model, info, tensor.data);
    parameters.set(info.name, tensor);
  }
  return parameters;
}

/** Numbers of a parameter become, in place, what products multiply: ternary ones of latent ones where the model has such projections. */
export function toMultiplied(config: ModelConfig, { shape, projections }: ParameterInfo, numbers: Float32Array): void {
  if (config.weightFormat === 'ternary') ternarizeProjections(numbers, shape[shape.length - 1], projections);
}

/** Fills `out` with one parameter. Throws FormatError for a tensor that is missing or of another shape or dtype. */
export function readParameter(file: SafetensorsFile, info: ParameterInfo, out: Float32Array): void {
  const { byteOffset } = expectTensor(file, info);
  file.read(byteOffset, new Uint8Array(out.buffer, out.byteOffset, out.byteLength));
}

function expectTensor(file: SafetensorsFile, { name, shape }: ParameterInfo): TensorInfo {
  const found = file.tensors.get(name);
  if (found?.dtype === 'F32' && shapeText(found.shape) === shapeText(shape)) return found;
  const got = found ? `${found.dtype} ${shapeText(found.shape)}` : 'no such tensor';
  const what = `${name}: expected F32 ${shapeText(shape)}, got ${got}. Does config.json belong to these weights?`;
  throw new FormatError('load-model', `${file.path}: ${what}`, file.path);
}
