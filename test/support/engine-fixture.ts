/** Small models and engines over them, for the tests of Engine: on the reference backend, with weights that make every part matter. */

import type { Backend } from '../../src/backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { Engine, type EngineOptions } from '../../src/infer/engine.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import { type ModelConfigInput, resolveConfig } from '../../src/model/resolve-config.ts';
import type { SparsityOverride } from '../../src/model/sparsity-override.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { type ModelWeights, weightsOfParameters } from '../../src/model/weights.ts';
import { modelWeights, strengthen, type WeightChoice } from './model-weights.ts';

export const SHAPE: ModelConfigInput = {
  dim: 32,
  hiddenDim: 80,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  vocabSize: 50,
  seqLen: 24,
};

export const backend: Backend = createReferenceBackend();

export function modelOf(input: Partial<ModelConfigInput>, strength = 8): Transformer {
  return strengthen(Transformer.create(resolveConfig({ ...SHAPE, ...input }), backend, { seed: 3 }), strength);
}

export function weightsOf(model: Transformer): ModelWeights {
  return weightsOfParameters(model.config, model.multipliedParameters());
}

export const engineOf = (model: Transformer, options: EngineOptions = {}): Engine =>
  new Engine(model.config, weightsOf(model), backend, options);

export const engineWith = (model: Transformer, choice: WeightChoice, options: EngineOptions = {}): Engine =>
  new Engine(model.config, modelWeights(model, backend, choice), backend, options);

export const single = (engine: Engine, sparsity?: SparsityOverride) =>
  new SingleSequence(engine, sparsity === undefined ? {} : { sparsity });

export const idsOf = (length: number, from = 5): number[] => Array.from({ length }, (_, i) => (i * 17 + from) % 50);
