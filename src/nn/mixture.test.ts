import { describe, expect, it } from 'vitest';
import { disturb } from '../../test/support/model-weights.ts';
import { randomIds } from '../../test/support/tensors.ts';
import { NO_SKIPS } from '../autograd/zero-skips.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { type ModelConfigInput, resolveConfig } from '../model/resolve-config.ts';
import { StepStatistics } from '../model/statistics.ts';
import { Transformer } from '../model/transformer.ts';
import type { FloatType } from '../tensor/tensor.ts';
import { Prng } from '../util/prng.ts';

const backend = createReferenceBackend();
const SMALL: ModelConfigInput = {
  ...{ dim: 8, hiddenDim: 12, nLayers: 2, nHeads: 2, vocabSize: 11, seqLen: 6, tiedEmbeddings: false },
  ...{ nExperts: 4, nExpertsPerToken: 2 },
};
const shape = { batch: 2, seqLen: 5 };
const ids = randomIds(backend, 10, 11, 1);
const targets = randomIds(backend, 10, 11, 2);

function build(input: Partial<ModelConfigInput>, dtype: FloatType = 'f64'): Transformer {
  return disturb(Transformer.create(resolveConfig({ ...SMALL, ...input }), backend, { seed: 7, dtype }));
}

function gradientsOf(model: Transformer, options = {}) {
  for (const { gradient } of model.parameters) gradient.data.fill(0);
  const terms = model.lossAndGradients(ids, targets, shape, options);
  return { terms, gradients: new Map(model.parameters.map(({ name, gradient }) => [name, [...gradient.data]])) };
}

/** Routers without an opinion: all logits are 0, and the ties go to the first experts. */
function silenceRouters(model: Transformer): Transformer {
  for (const { name, value } of model.parameters) if (name.endsWith('.router')) value.data.fill(0);
  return model;
}

describe('gradients of a mixture against finite differences (f64)', () => {
  const terms = { routerLoadBalance: 0.3, routerZLoss: 0.1 };
  // Nothing that is selected, or the gradient is masked as the mask is; the choice of experts is a constant of the derivative.
  const variants: [string, Partial<ModelConfigInput>][] = [
    ['two of four, SwiGLU', { activation: 'silu' }],
    ['two of four with the terms of the router', { activation: 'silu', ...terms }],
    ['one of four with the terms of the router', { activation: 'silu', nExpertsPerToken: 1, ...terms }],
    ['all of three, ReLU^2, L1', { activation: 'relu2', nExperts: 3, nExpertsPerToken: 3, hiddenL1: 0.2, ...terms }],
    ['masked gradient, ReLU', { activation: 'relu', sparsity: 0.5, gradient: 'masked', ...terms }],
    ['masked gradient, re-scaled', { activation: 'silu', sparsity: 0.4, gradient: 'masked', rescale: 'l2', ...terms }],
    ['sub-norms of lists, L1', { activation: 'relu', subNorms: true, hiddenL1: 0.2, ...terms }],
    ['sub-norms, masked gradient', { activation: 'relu', subNorms: true, sparsity: 0.4, gradient: 'masked' }],
  ];

  it.each(variants)('%s', (_name, input) => {
    const model = build(input);
    const { gradients } = gradientsOf(model);
    const prng = new Prng(5);
    for (const { name, value } of model.parameters) {
      const direction = Array.from(value.data, () => prng.normal());
      const start = value.data.slice();
      const at = (step: number) => {
        for (let i = 0; i < start.length; i++) value.data[i] = start[i] + step * direction[i];
        const { loss, l1, router } = model.lossAndGradients(ids, targets, shape);
        return loss + l1 + router;
      };
      const numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
      value.data.set(start);
      const gradient = gradients.get(name)!;
      const analytic = gradient.reduce((sum, g, i) => sum + g * direction[i], 0);
      const norm = Math.hypot(...gradient);
      // With one expert a token its share is 1 whatever the router says: only the terms of the router move it.
      if (norm < 1e-9) expect(Math.abs(numeric), name).toBeLessThan(1e-7);
      else expect(Math.abs(numeric - analytic) / norm, name).toBeLessThan(1e-6);
    }
  });
});

describe('mixture', () => {
  it.each([
    ['f32', { activation: 'silu', sparsity: 0.5 }],
    ['f32', { activation: 'relu2', sparsity: 0.4, hiddenL1: 0.1 }],
    ['f64', { activation: 'relu2', sparsity: 0, rescale: 'l2' }],
    ['f32', { sparsity: 0.4, activationFormat: 'int8', weightFormat: 'ternary', subNorms: true }],
  ] as const)('of one expert is the dense model, bit for bit: %s, %o', (dtype, input) => {
    const one = build({ ...input, nExperts: 1, nExpertsPerToken: 1 }, dtype);
    const dense = build({ ...input, nExperts: 0, nExpertsPerToken: 0 }, dtype);
    const values = new Map(dense.parameters.map(({ name, value }) => [name, value.data]));
    for (const { name, value } of one.parameters) {
      if (!name.endsWith('.router')) value.data.set(values.get(name.replace('experts.0.', ''))!);
    }
    expect([...one.logits(ids, shape).data]).toEqual([...dense.logits(ids, shape).data]);
    const [mixed, plain] = [gradientsOf(one), gradientsOf(dense)];
    expect(mixed.terms).toEqual(plain.terms);
    for (const [name, gradient] of mixed.gradients) {
      // +0: a router of one expert has a gradient of 0, of either sign.
      const expected = plain.gradients.get(name.replace('experts.0.', '')) ?? gradient.map(() => 0);
      expect(
        gradient.map((g) => g + 0),
        name,
      ).toEqual(expected.map((g) => g + 0));
    }
  });

  it('lets experts go that no token chose, and says so', () => {
    const model = silenceRouters(build({ activation: 'relu2', sparsity: 0.4, routerLoadBalance: 0.5, routerZLoss: 2 }));
    const statistics = new StepStatistics(model.config, { detail: true });
    const { terms, gradients } = gradientsOf(model, { statistics });
    expect(statistics.expertLoad()).toEqual(
      [0, 1].map(() => [0.5, 0.5, 0, 0].map((share) => expect.closeTo(share, 12))),
    );
    // Even probabilities: 4 * (0.5 / 4 + 0.5 / 4) = 1, and log 4 squared.
    expect(statistics.routerTerms().loadBalance).toBeCloseTo(1, 12);
    expect(statistics.routerTerms().z).toBeCloseTo(Math.log(4) ** 2, 12);
    expect(terms.router).toBeCloseTo(0.5 + 2 * Math.log(4) ** 2, 12);
    for (const dead of statistics.deadChannels()) expect(dead).toBeGreaterThanOrEqual(0.5);
    for (const layer of [0, 1]) {
      for (const expert of [2, 3]) {
        for (const matrix of ['gateUp', 'down']) {
          const gradient = gradients.get(`layers.${layer}.experts.${expert}.${matrix}`)!;
          expect(gradient.every((g) => g === 0)).toBe(true);
        }
      }
      expect(Math.hypot(...gradients.get(`layers.${layer}.experts.1.down`)!)).toBeGreaterThan(0);
    }
  });

  it('gives each token its own experts: one token alone computes what it does among others', () => {
    const model = build({ activation: 'silu', sparsity: 0.5 });
    const all = model.logits(ids, shape).data;
    const first = model.logits({ ...ids, shape: [1], data: ids.data.slice(0, 1) }, { batch: 1, seqLen: 1 }).data;
    first.forEach((logit, i) => {
      expect(logit).toBeCloseTo(all[i], 12);
    });
  });

  it('has the same loss and gradients without skips, and in a recomputed pass', () => {
    const model = build({ activation: 'relu', hiddenDim: 40, sparsity: 0.6, hiddenL1: 0.1, routerLoadBalance: 0.1 });
    const all = gradientsOf(model);
    expect(gradientsOf(model, { recompute: true })).toEqual(all);
    const none = gradientsOf(model, { skips: NO_SKIPS });
    expect(none.terms.loss).toBeCloseTo(all.terms.loss, 12);
    for (const [name, gradient] of none.gradients) {
      gradient.forEach((g, i) => {
        expect(g, name).toBeCloseTo(all.gradients.get(name)![i], 12);
      });
    }
  });

  it('scales the terms of the router like the loss, and loses no memory', () => {
    const model = build({ activation: 'silu', routerLoadBalance: 0.4, routerZLoss: 0.2 });
    const before = model.pool.liveBytes;
    const [whole, half] = [gradientsOf(model), gradientsOf(model, { gradientScale: 0.5 })];
    expect(half.terms).toEqual(whole.terms);
    for (const [name, gradient] of half.gradients) {
      gradient.forEach((g, i) => {
        expect(g, name).toBeCloseTo(0.5 * whole.gradients.get(name)![i], 12);
      });
    }
    expect(model.pool.liveBytes).toBe(before);
  });

  it('multiplies the chosen experts only: operations of one of four are those of one FFN and its router', () => {
    const flopsOf = (input: Partial<ModelConfigInput>) => {
      const model = build({ activation: 'silu', ...input });
      const statistics = new StepStatistics(model.config);
      model.loss(ids, targets, shape, { statistics });
      return statistics.flops;
    };
    const dense = flopsOf({ nExperts: 0, nExpertsPerToken: 0 });
    expect(flopsOf({ nExpertsPerToken: 1 })).toBe(dense + 2 * (2 * 10 * 4 * 8)); // two layers of 10 tokens, 4 experts, dim 8
  });
});
