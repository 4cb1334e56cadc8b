/** foreignWeights: a model of another program as f32 weights in a backend's memory, as they are multiplied. */

import type { Arena } from '../arena.ts';
import { toMultiplied } from '../model/checkpoint-parameters.ts';
import { describeParameters } from '../model/parameters.ts';
import { type ModelWeights, weightsOfParameters } from '../model/weights.ts';
import type { FloatTensor, Tensor } from '../tensor/tensor.ts';
import type { ForeignModel } from './foreign-model.ts';

/** Memory of `arena`. Throws FormatError as the model's `read` does; what was taken until then stays in the arena. */
export function foreignWeights(
  foreign: Pick<ForeignModel, 'config' | 'read'>,
  arena: Arena,
): { weights: ModelWeights; parameters: ReadonlyMap<string, FloatTensor> } {
  const { config } = foreign;
  const parameters = new Map<string, FloatTensor>();
  for (const info of describeParameters(config)) {
    const tensor: Tensor<'f32'> = arena.tensor('f32', info.shape);
    foreign.read(info, tensor.data);
    toMultiplied(config, info, tensor.data);
    parameters.set(info.name, tensor);
  }
  return { weights: weightsOfParameters(config, parameters), parameters };
}
