/**
 * Directories as `transformers` writes them, one tiny random model of each architecture (`make-hugging-face.py`), against its logits: the engine token by token
 * and as a prefill; and, where the file holds them, the loss and every gradient against the model that trains.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import type { Backend } from '../../src/backend.ts';
import type { ForeignModel } from '../../src/import/foreign-model.ts';
import { openHuggingFace } from '../../src/import/hugging-face-model.ts';
import { Engine } from '../../src/infer/engine.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import { toMultiplied } from '../../src/model/checkpoint-parameters.ts';
import { packWeights } from '../../src/model/pack-weights.ts';
import { describeParameters } from '../../src/model/parameters.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { weightsOfParameters } from '../../src/model/weights.ts';
import type { FloatTensor } from '../../src/tensor/tensor.ts';
import { intTensor } from '../support/tensors.ts';
import { expectGradients } from './compare-gradients.ts';
import { goldenBackends } from './golden-backends.ts';
import { difference, readArrays } from './golden-file.ts';

const folder = join(fileURLToPath(new URL('.', import.meta.url)), 'data', 'hugging-face');
const models = readdirSync(folder);
/** Logits are up to 10; two float32 programs differ by about 1e-6 of that. */
const LOGITS = 2e-5;
/** Stored as float32; transformers' frequencies of RoPE are float32 too. */
const GRADIENTS = { f64: 2e-6, f32: 1e-5 };

for (const { backend, name, dtype } of await goldenBackends()) {
  describe(`Hugging Face models on ${name}`, () => {
    if (dtype === 'f32') it.each(models)('%s', (model) => compareLogits(backend, model));
    it.each(['qwen2', 'qwen3', 'llama3'])('%s, gradients', (model) => compareGradients(backend, dtype, model));
  });
}

describe('Hugging Face models', () => {
  it('are all those that are documented', () => {
    expect(models).toHaveLength(13);
  });

  it.each(['bitnet', 'bitnet-bitlinear'])('%s keeps its codes and scales as ternary weights', async (name) => {
    const [{ backend }] = await goldenBackends();
    const { ids, logits, model, parameters } = load(backend, name);
    const options = { dtype: 'ternary', embeddingDtype: 'f32', headDtype: 'f32' } as const;
    const weights = packWeights(model.config, parameters, options, new Arena(backend));
    const got = new SingleSequence(new Engine(model.config, weights, backend)).prefill(ids);
    expect(difference(got, logits.slice(-model.config.vocabSize)).maxAbs).toBeLessThan(LOGITS);
  });
});

/** A model with its parameters as they are multiplied. */
function load(backend: Backend, name: string) {
  const model = openHuggingFace(join(folder, name));
  const parameters = parametersOf(model, backend);
  model.close();
  const golden = readArrays(join(folder, name, 'golden.safetensors'));
  return { model, parameters, golden, ids: [...golden.get('input_ids')!.data], logits: golden.get('logits')!.data };
}

function parametersOf(model: ForeignModel, backend: Backend): Map<string, FloatTensor> {
  const arena = new Arena(backend);
  return new Map(
    describeParameters(model.config).map((info) => {
      const tensor = arena.tensor('f32', info.shape);
      tensor.data.fill(Number.NaN);
      model.read(info, tensor.data);
      toMultiplied(model.config, info, tensor.data);
      return [info.name, tensor];
    }),
  );
}

function compareLogits(backend: Backend, name: string): void {
  const { ids, logits, model, parameters } = load(backend, name);
  const { config } = model;
  const engine = new Engine(config, weightsOfParameters(config, parameters), backend);
  const sequence = new SingleSequence(engine);
  const expected = (position: number) => logits.slice(position * config.vocabSize, (position + 1) * config.vocabSize);
  expect(difference(expected(0), []).scale + difference([], expected(0)).scale).toBeGreaterThan(0.5);
  for (const [position, id] of ids.entries()) {
    const { maxAbs } = difference(sequence.decode(id), expected(position));
    expect(maxAbs, `decode ${position}`).toBeLessThan(LOGITS);
  }
  for (const length of [3, ids.length]) {
    sequence.reset();
    const { maxAbs } = difference(sequence.prefill(ids.slice(0, length)), expected(length - 1));
    expect(maxAbs, `prefill ${length}`).toBeLessThan(LOGITS);
  }
  engine.dispose();
}

function compareGradients(backend: Backend, dtype: 'f32' | 'f64', name: string): void {
  const { ids, golden, model, parameters } = load(backend, name);
  const transformer = Transformer.create(model.config, backend, { seed: 0, dtype });
  for (const { name, value } of transformer.parameters) value.data.set(parameters.get(name)!.data);
  const tensors = [ids, [...golden.get('target_ids')!.data]].map((tokens) => intTensor(backend, tokens));
  const { loss } = transformer.lossAndGradients(tensors[0], tensors[1], { batch: 1, seqLen: ids.length });
  expect(Math.abs(loss - golden.get('loss')!.data[0])).toBeLessThan(2e-6);
  expectGradients(transformer, golden, GRADIENTS[dtype]);
}
