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
import { adapterNames } from './adapted-weights.ts';
import type { ModelConfig } from './config.ts';
import { describeParameters, type ParameterInfo } from './parameters.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';

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

/** The tensor [1] with the factor of all adapters of a checkpoint, which one without adapters has not. */
export const ADAPTER_SCALE = 'loraScale';

/** Fills `out` with one parameter, an adapter that stands beside it merged into it. Throws FormatError for a tensor that is missing or of another shape or dtype. */
export function readParameter(file: SafetensorsFile, info: ParameterInfo, out: Float32Array): void {
  const { byteOffset } = expectTensor(file, info);
  file.read(byteOffset, new Uint8Array(out.buffer, out.byteOffset, out.byteLength));
  const { a, b } = adapterNames(info.name);
  if (file.tensors.has(a)) addAdapter(file, info, { a, b }, out);
}

/** out += scale a b. */
function addAdapter(
  file: SafetensorsFile,
  { shape: [rows, cols] }: ParameterInfo,
  names: { a: string; b: string },
  out: Float32Array,
): void {
  const rank = file.tensors.get(names.a)?.shape[1] ?? 0;
  const tensor = (name: string, shape: readonly number[]) => {
    expectTensor(file, { name, shape });
    return file.tensor(name).data as Float32Array;
  };
  const [scale] = tensor(ADAPTER_SCALE, [1]);
  const [a, b] = [tensor(names.a, [rows, rank]), tensor(names.b, [rank, cols])];
  for (let row = 0; row < rows; row++) {
    for (let r = 0; r < rank; r++) {
      const factor = scale * a[row * rank + r];
      for (let col = 0; col < cols; col++) out[row * cols + col] += factor * b[r * cols + col];
    }
  }
}

function expectTensor(file: SafetensorsFile, { name, shape }: Pick<ParameterInfo, 'name' | 'shape'>): TensorInfo {
  const found = file.tensors.get(name);
  if (found?.dtype === 'F32' && shapeText(found.shape) === shapeText(shape)) return found;
  const got = found ? `${found.dtype} ${shapeText(found.shape)}` : 'no such tensor';
  const what = `${name}: expected F32 ${shapeText(shape)}, got ${got}. Does config.json belong to these weights?`;
  throw new FormatError('load-model', `${file.path}: ${what}`, file.path);
}
