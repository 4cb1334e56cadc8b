import { describe, expect, it } from 'vitest';
import { disturb } from '../../test/support/model-weights.ts';
import { randomIds } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { countAdapters, type Lora } from './adapted-weights.ts';
import { POINTS } from './config.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { Transformer } from './transformer.ts';

const backend = createReferenceBackend();
const SMALL: ModelConfigInput = {
  ...{ dim: 8, hiddenDim: 12, nLayers: 2, nHeads: 4, nKvHeads: 2, headDim: 4, vocabSize: 11, seqLen: 6 },
  tiedEmbeddings: false,
};
const LORA: Lora = { rank: 3, alpha: 1.5, points: POINTS };
const shape = { batch: 2, seqLen: 5 };
const ids = randomIds(backend, 10, 11, 1);
const targets = randomIds(backend, 10, 11, 2);

function build(input: Partial<ModelConfigInput>, lora: Lora | null = LORA): Transformer {
  const config = resolveConfig({ ...SMALL, ...input });
  return Transformer.create(config, backend, { seed: 7, dtype: 'f64', lora });
}

/** Adapters that matter: fresh ones add nothing. */
function disturbed(input: Partial<ModelConfigInput>, lora: Lora = LORA): Transformer {
  return disturb(build(input, lora));
}

describe('adapters', () => {
  it('begin as the model that they adapt', () => {
    const [adapted, plain] = [build({ sparsity: 0.5 }), build({ sparsity: 0.5 }, null)];
    expect(adapted.loss(ids, targets, shape)).toBe(plain.loss(ids, targets, shape));
  });

  it('add alpha / rank times A B to the base, column by column', () => {
    const model = disturbed({});
    const stored = new Map(model.stored.map(({ name, value }) => [name, value]));
    const merged = model.multipliedParameters();
    for (const name of ['layers.0.qkv', 'layers.1.down']) {
      const [base, a, b] = ['', '.loraA', '.loraB'].map((end) => stored.get(name + end)!);
      const [rows, cols] = base.shape;
      expect([a.shape, b.shape]).toEqual([
        [rows, 3],
        [3, cols],
      ]);
      for (const [row, col] of [
        [0, 0],
        [rows - 1, cols - 1],
        [3, 5],
      ]) {
        let sum = 0;
        for (let r = 0; r < 3; r++) sum += a.data[row * 3 + r] * b.data[r * cols + col];
        expect(merged.get(name)!.data[row * cols + col]).toBeCloseTo(base.data[row * cols + col] + 0.5 * sum, 12);
      }
    }
    expect(merged.get('embedding')).toBe(stored.get('embedding'));
  });

  it.each<[string, Partial<ModelConfigInput>]>([
    ['dense', { activation: 'silu' }],
    ['top-K', { sparsity: 0.5 }],
    ['8 bits', { sparsity: 0.5, activationFormat: 'int8' }],
  ])('merged are what they were: %s', (_name, input) => {
    const adapted = disturbed(input);
    const plain = build(input, null);
    const merged = adapted.multipliedParameters();
    for (const { name, value } of plain.parameters) value.data.set(merged.get(name)!.data);
    expect(plain.loss(ids, targets, shape)).toBe(adapted.loss(ids, targets, shape));
  });

  it.each<[string, Partial<ModelConfigInput>, Lora]>([
    ['dense SwiGLU', { activation: 'silu' }, LORA],
    ['natural zeros and masked top-K', { sparsity: 0.4, gradient: 'masked' }, LORA],
    [
      'at some points, biases and norms',
      { activation: 'silu', qkvBias: true, qkNorm: true },
      { ...LORA, points: ['qkv', 'down'] },
    ],
    ['sub-norms of lists, L1', { activation: 'relu', subNorms: true, hiddenL1: 0.3 }, LORA],
    ['experts, tied', { activation: 'silu', nExperts: 2, nExpertsPerToken: 2, tiedEmbeddings: true }, LORA],
  ])('have the gradients of the loss: %s', (_name, input, lora) => {
    const model = disturbed(input, lora);
    for (const { gradient } of model.parameters) gradient.data.fill(0);
    model.lossAndGradients(ids, targets, shape, { recompute: true });
    const gradients = model.parameters.map(({ gradient }) => Array.from(gradient.data));
    const total = () => {
      const { loss, l1, router } = model.lossAndGradients(ids, targets, shape);
      return loss + l1 + router;
    };
    const prng = new Prng(5);
    expect(model.parameters.every(({ name }) => /\.lora[AB]$/.test(name))).toBe(true);
    model.parameters.forEach(({ name, value }, p) => {
      const direction = Array.from(value.data, () => prng.normal());
      const start = value.data.slice();
      const at = (step: number) => {
        value.data.forEach((_, i) => {
          value.data[i] = start[i] + step * direction[i];
        });
        return total();
      };
      const numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
      at(0);
      const analytic = gradients[p].reduce((sum, value, i) => sum + value * direction[i], 0);
      const norm = Math.hypot(...gradients[p]);
      expect(norm, name).toBeGreaterThan(1e-7);
      expect(Math.abs(numeric - analytic) / norm, name).toBeLessThan(1e-6);
    });
  });

  it('are all that is trained: the base has no gradients', () => {
    const model = build({});
    const trained = model.stored.filter(({ gradient }) => gradient !== null);
    expect(trained).toEqual(model.parameters);
    // Of each layer: qkv 8 + 32, o 16 + 8, gateUp 8 + 24, down 12 + 8, times the rank.
    const numbers = trained.reduce((sum, { value }) => sum + value.data.length, 0);
    expect(numbers).toBe(2 * 3 * (40 + 24 + 32 + 20));
    expect(countAdapters(model.config, LORA)).toBe(numbers);
    expect(countAdapters(model.config, { ...LORA, points: ['o'] })).toBe(2 * 3 * 24);
  });

  it('are not for ternary weights', () => {
    expect(() => build({ weightFormat: 'ternary' })).toThrow(UsageError);
  });
});
