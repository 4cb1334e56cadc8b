/**
 * readInitialParameters: the parameters of a model that exists become the values that a training begins with.
 *
 * One parameter after the other goes straight into the memory of the new model, so that nothing is held twice. What sparsity, activation, context
 * and regularisers are is the new model's business; what the numbers stand for (heads, widths, positions, which parameters there are) has to be
 * the same in both, or they would mean something else without a word.
 */

import { UsageError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import type { ModelConfig } from './config.ts';
import type { ParameterSource } from './parameter-source.ts';
import { describeParameters, type Parameter } from './parameters.ts';

/** Where the values come from; a checkpoint, or an open model of another program. */
export type InitialParameters = Pick<ParameterSource, 'config' | 'read'>;

/** Fields in which the two must agree: they say how many parameters there are, and how their columns are read. */
const FIELDS = [
  ...['dim', 'hiddenDim', 'nLayers', 'nHeads', 'nKvHeads', 'headDim', 'vocabSize', 'tiedEmbeddings'],
  ...['qkvBias', 'qkNorm', 'subNorms', 'nExperts', 'ropeTheta', 'ropeScaling', 'normEps'],
] as readonly (keyof ModelConfig)[];

/**
 * Fills the values of `parameters`. Throws UsageError that names the field in which the configurations differ, FormatError where a tensor cannot be
 * read.
 */
export function readInitialParameters(
  parameters: readonly Parameter[],
  config: ModelConfig,
  initial: InitialParameters,
): void {
  checkSame(config, initial.config);
  const infos = new Map(describeParameters(initial.config).map((info) => [info.name, info]));
  for (const { name, value } of parameters) {
    const info = infos.get(name)!;
    if (value.dtype === 'f32') {
      initial.read(info, value.data as Float32Array);
      continue;
    }
    const numbers = new Float32Array(value.data.length);
    initial.read(info, numbers);
    value.data.set(numbers);
  }
}

function checkSame(config: ModelConfig, initial: ModelConfig): void {
  for (const field of FIELDS) {
    const [wanted, found] = [config[field], initial[field]];
    if (JSON.stringify(wanted) === JSON.stringify(found)) continue;
    throw new UsageError(
      'train',
      `${field} is that of the model that the training begins with: expected ${shown(found)}, got ${shown(wanted)}. Leave it as it is.`,
    );
  }
}
