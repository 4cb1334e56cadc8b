import { describe, expect, it } from 'vitest';
import { fieldsOfQsparseKey, qsparseKeyOf } from './qsparse-key.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';

const SHAPE = { dim: 64, hiddenDim: 128, nLayers: 2, nHeads: 2, vocabSize: 97, activation: 'silu' } as const;

describe('the key qsparse', () => {
  it('brings the sparse model back from the words of a dense one', () => {
    const models: Partial<ModelConfigInput>[] = [
      { sparsity: { qkv: 0.5, gateUp: [0.1, 0.2] }, gradient: 'masked' },
      { sparsifier: 'block', blockSize: 16, sparsity: 0.5, activationFormat: 'int8' },
      { sparsifier: 'threshold', thresholds: { gate: 0.1, down: [0, 0.2] }, gradient: 'masked' },
    ];
    for (const model of models) {
      const config = resolveConfig({ ...SHAPE, ...model });
      const read = fieldsOfQsparseKey(JSON.parse(JSON.stringify(qsparseKeyOf(config))));
      expect(resolveConfig({ ...SHAPE, ...read })).toEqual(config);
    }
  });

  it('is not there for a dense model, and says so for one that only rounds', () => {
    expect(qsparseKeyOf(resolveConfig({ ...SHAPE, sparsity: 0 }))).toBeNull();
    expect(qsparseKeyOf(resolveConfig({ ...SHAPE, sparsifier: 'none' }))).toBeNull();
    const rounding = resolveConfig({ ...SHAPE, activationFormat: 'int8' });
    expect(qsparseKeyOf(rounding)).toEqual({ sparsifier: 'none', activationFormat: 'int8' });
  });

  it('is refused where it is no object or holds something else', () => {
    expect(fieldsOfQsparseKey(undefined)).toEqual({});
    for (const wrong of [7, 'topk', [], { dim: 3 }, { sparsity: 0.5, unknown: 1 }]) {
      expect(fieldsOfQsparseKey(wrong)).toBeNull();
    }
  });
});
