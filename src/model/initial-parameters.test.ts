import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { UsageError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import type { InitialParameters } from './initial-parameters.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { Transformer } from './transformer.ts';

const SHAPE = { dim: 8, hiddenDim: 16, nLayers: 2, nHeads: 2, vocabSize: 7, seqLen: 16 } as const;
const config = (input: Partial<ModelConfigInput> = {}) => resolveConfig({ ...SHAPE, ...input });

/** Parameter number n holds n everywhere, and i / 1024 on top in its element i: exact in f32. */
function source(from: ModelConfig): InitialParameters & { names: string[] } {
  const names: string[] = [];
  return {
    names,
    config: from,
    read({ name }, out) {
      for (let i = 0; i < out.length; i++) out[i] = names.length + i / 1024;
      names.push(name);
    },
  };
}

const create = (model: ModelConfig, initial: InitialParameters, dtype: 'f32' | 'f64' = 'f32') =>
  Transformer.create(model, createReferenceBackend(), { seed: 0, initial, dtype });

describe('a model with initial parameters', () => {
  it('has their numbers, in f32 and f64, each read once', () => {
    for (const dtype of ['f32', 'f64'] as const) {
      const initial = source(config());
      const model = create(config(), initial, dtype);
      expect(initial.names).toEqual(model.parameters.map(({ name }) => name));
      model.parameters.forEach(({ value }, number) => {
        expect([value.data[0], value.data[5]]).toEqual([number, number + 5 / 1024]);
      });
    }
  });

  it('may be sparse in another way, with another gate and a shorter context', () => {
    const wanted = config({ sparsity: 0.4, activation: 'relu', hiddenL1: 1e-3, seqLen: 4 });
    expect(create(wanted, source(config({ activation: 'silu' }))).config).toEqual(wanted);
  });

  it.each<[field: string, wanted: Partial<ModelConfigInput>]>([
    ['subNorms', { subNorms: true }],
    ['tiedEmbeddings', { tiedEmbeddings: false }],
    ['vocabSize', { vocabSize: 8 }],
    ['nHeads', { nHeads: 4 }],
    ['ropeTheta', { ropeTheta: 500 }],
    ['ropeScaling', { ropeScaling: { type: 'linear', factor: 2 } }],
    ['nExperts', { nExperts: 2, nExpertsPerToken: 1 }],
  ])('refuses another %s and names it', (field, wanted) => {
    const begin = () => create(config(wanted), source(config()));
    expect(begin).toThrow(UsageError);
    expect(begin).toThrow(new RegExp(`^\\[train\\] ${field} is that of the model .* expected .*, got .*Leave it`));
  });
});
