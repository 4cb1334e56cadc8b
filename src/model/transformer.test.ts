import { describe, expect, it } from 'vitest';
import { disturb } from '../../test/support/model-weights.ts';
import { intTensor, randomIds } from '../../test/support/tensors.ts';
import { NO_SKIPS } from '../autograd/zero-skips.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import type { FloatType } from '../tensor/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { StepStatistics } from './statistics.ts';
import { Transformer } from './transformer.ts';

const backend = createReferenceBackend();
const SMALL: ModelConfigInput = {
  dim: 8,
  hiddenDim: 12,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 4,
  vocabSize: 11,
  seqLen: 6,
  tiedEmbeddings: false,
};
const shape = { batch: 2, seqLen: 5 };
const ids = randomIds(backend, 10, 11, 1);
const targets = randomIds(backend, 10, 11, 2);

/** A model with weights large enough that every path matters. */
function build(input: Partial<ModelConfigInput>, dtype: FloatType = 'f64'): Transformer {
  return disturb(Transformer.create(resolveConfig({ ...SMALL, ...input }), backend, { seed: 7, dtype }));
}

function gradientsOf(model: Transformer, options = {}): { loss: number; l1: number; gradients: number[][] } {
  for (const { gradient } of model.parameters) gradient.data.fill(0);
  const { loss, l1 } = model.lossAndGradients(ids, targets, shape, options);
  return { loss, l1, gradients: model.parameters.map(({ gradient }) => Array.from(gradient.data)) };
}

function expectEqual(got: number[][], expected: number[][], digits = 12): void {
  got.forEach((tensor, p) => {
    tensor.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[p][i], digits);
    });
  });
}

describe('gradients against finite differences (f64)', () => {
  // All of these are differentiable almost everywhere: nothing is selected, or the gradient is masked as the mask is.
  const variants: [string, Partial<ModelConfigInput>][] = [
    ['dense SwiGLU', { activation: 'silu' }],
    ['dense ReLU^2, tied', { activation: 'relu2', tiedEmbeddings: true }],
    ['ReLU GLU with an L1 term', { activation: 'relu', hiddenL1: 0.3 }],
    ['SiLU GLU with an L1 term', { activation: 'silu', hiddenL1: 0.3 }],
    ['masked gradient', { activation: 'relu2', sparsity: 0.5, gradient: 'masked' }],
    [
      'masked gradient, re-scaled',
      {
        activation: 'silu',
        sparsity: { qkv: [0.25, 0.5], o: 0.4, gateUp: 0.5, down: 0.6 },
        gradient: 'masked',
        rescale: 'l2',
      },
    ],
    ['natural zeros, re-scaled', { activation: 'relu', rescale: 'l2' }],
    [
      'masked blocks',
      { sparsifier: 'block', blockSize: 4, sparsity: { qkv: 0.5, o: 0.25, down: 0.5 }, gradient: 'masked' },
    ],
    [
      'masked thresholds, SwiGLU',
      {
        activation: 'silu',
        sparsifier: 'threshold',
        thresholds: { qkv: [0.5, 0.3], o: 0.2, gateUp: 0.6, down: 0.1 },
        gradient: 'masked',
      },
    ],
    [
      'thresholds at the gates, SwiGLU',
      { activation: 'silu', sparsifier: 'threshold', thresholds: { gate: [0.2, 0.4] }, gradient: 'masked' },
    ],
    [
      'thresholds at gates and inputs, ReLU^2, L1',
      { sparsifier: 'threshold', thresholds: { gate: 0.2, qkv: 0.3 }, gradient: 'masked', hiddenL1: 0.3 },
    ],
    ['ReLU before every projection, L1', { sparsifier: 'relu', hiddenL1: 0.3 }],
    ['ReLU before every projection, re-scaled', { sparsifier: 'relu', activation: 'relu', rescale: 'l2' }],
    ['ReLU behind the norms, L1', { sparsifier: 'norm-relu', activation: 'relu', hiddenL1: 0.3 }],
    ['dReLU, L1, tied', { sparsifier: 'drelu', hiddenL1: 0.3, tiedEmbeddings: true }],
    ['biases of q, k and v, SwiGLU', { activation: 'silu', qkvBias: true }],
    ['norms of heads, SwiGLU', { activation: 'silu', qkNorm: true }],
    [
      'biases, norms of heads, masked gradient, scaled angles',
      {
        ...{ qkvBias: true, qkNorm: true, sparsity: 0.4, gradient: 'masked' },
        ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 0.1, highFreqFactor: 0.4, originalSeqLen: 4 },
      },
    ],
    ['sub-norms', { activation: 'silu', subNorms: true }],
    ['sub-norms of lists, with an L1 term', { activation: 'relu', subNorms: true, hiddenL1: 0.3 }],
    ['sub-norms, dReLU behind them', { sparsifier: 'drelu', subNorms: true, hiddenL1: 0.3 }],
    ['sub-norms, masked gradient', { activation: 'relu', subNorms: true, sparsity: 0.4, gradient: 'masked' }],
  ];

  it.each(variants)('%s', (_name, input) => {
    const model = build(input);
    const { gradients } = gradientsOf(model);
    const total = () => {
      const { loss, l1 } = model.lossAndGradients(ids, targets, shape);
      return loss + l1;
    };
    const prng = new Prng(5);
    model.parameters.forEach(({ name, value }, p) => {
      // One random direction a tensor: as good as every entry alone, and fast.
      const direction = Array.from(value.data, () => prng.normal());
      const start = value.data.slice();
      const at = (step: number) => {
        value.data.forEach((_, i) => {
          value.data[i] = start[i] + step * direction[i];
        });
        return total();
      };
      const step = 1e-6;
      const numeric = (at(step) - at(-step)) / (2 * step);
      at(0);
      const analytic = gradients[p].reduce((sum, value, i) => sum + value * direction[i], 0);
      const norm = Math.hypot(...gradients[p]);
      expect(norm, name).toBeGreaterThan(1e-6);
      expect(Math.abs(numeric - analytic) / norm, name).toBeLessThan(1e-6);
    });
  });
});

describe('distillation', () => {
  const teacherOf = (input: Partial<ModelConfigInput>) => {
    const { config } = build(input);
    return disturb(Transformer.create(config, backend, { seed: 8, dtype: 'f64', frozen: true }));
  };

  it.each([
    ['of a dense teacher', { activation: 'silu' }, 0.3, 1],
    ['at a temperature, of a masked student', { activation: 'silu', sparsity: 0.5, gradient: 'masked' }, 0.7, 2],
    ['alone', { activation: 'relu2' }, 1, 1.5],
  ] as const)('%s: the gradient is that of finite differences', (_name, input, weight, temperature) => {
    const model = build(input);
    const distillation = { teacher: teacherOf({ activation: 'silu' }), weight, temperature };
    const { gradients } = gradientsOf(model, { distillation });
    const prng = new Prng(5);
    model.parameters.forEach(({ name, value }, p) => {
      const direction = Array.from(value.data, () => prng.normal());
      const start = value.data.slice();
      const at = (step: number) => {
        value.data.forEach((_, i) => {
          value.data[i] = start[i] + step * direction[i];
        });
        const { loss, divergence } = model.lossAndGradients(ids, targets, shape, { distillation });
        return (1 - weight) * loss + weight * divergence;
      };
      const numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
      at(0);
      const analytic = gradients[p].reduce((sum, value, i) => sum + value * direction[i], 0);
      expect(Math.abs(numeric - analytic) / Math.hypot(...gradients[p]), name).toBeLessThan(1e-6);
    });
  });

  it('leaves no memory behind, and a frozen model has no gradients to give', () => {
    const [model, teacher] = [build({}), teacherOf({})];
    const live = [model, teacher].map(({ pool }) => pool.liveBytes);
    model.lossAndGradients(ids, targets, shape, { distillation: { teacher, weight: 0.5, temperature: 1 } });
    expect([model, teacher].map(({ pool }) => pool.liveBytes)).toEqual(live);
    expect(() => teacher.lossAndGradients(ids, targets, shape)).toThrow(ShapeError);
  });
});

describe('Transformer', () => {
  const sparse = { activation: 'relu2', sparsity: 0.5, hiddenL1: 0.1 } as const;

  it('accumulates gradients and scales them', () => {
    const model = build(sparse);
    const once = gradientsOf(model).gradients;
    model.lossAndGradients(ids, targets, shape, { gradientScale: 0.5 });
    expectEqual(
      model.parameters.map(({ gradient }) => Array.from(gradient.data)),
      once.map((tensor) => tensor.map((value) => 1.5 * value)),
    );
  });

  it('is the mean over sequences that do not see each other', () => {
    const model = build(sparse);
    const whole = gradientsOf(model);
    for (const { gradient } of model.parameters) gradient.data.fill(0);
    let [loss, l1] = [0, 0];
    for (const first of [0, 5]) {
      const part = (tensor: typeof ids) => intTensor(backend, tensor.data.slice(first, first + 5));
      const one = model.lossAndGradients(part(ids), part(targets), { batch: 1, seqLen: 5 }, { gradientScale: 0.5 });
      loss += one.loss / 2;
      l1 += one.l1 / 2;
    }
    expect(loss).toBeCloseTo(whole.loss, 12);
    expect(l1).toBeCloseTo(whole.l1, 12);
    expectEqual(
      model.parameters.map(({ gradient }) => Array.from(gradient.data)),
      whole.gradients,
    );
  });

  it('is the dense model at a sparsity scale of 0', () => {
    const dense = gradientsOf(build({ activation: 'silu', sparsity: 0 }));
    const scaled = gradientsOf(build({ activation: 'silu', sparsity: 0.6 }), { sparsityScale: 0 });
    expect(scaled).toEqual(dense);
  });

  it('has half of the L1 term at an l1Scale of a half', () => {
    const half = gradientsOf(build({ ...sparse, hiddenL1: 0.05 }));
    const scaled = gradientsOf(build({ ...sparse, hiddenL1: 0.1 }), { l1Scale: 0.5 });
    expect(scaled.l1).toBeCloseTo(half.l1, 12);
    expectEqual(scaled.gradients, half.gradients);
  });

  const skips = ['forward', 'weightGradient', 'inputGradient', 'up', 'hiddenGradient'] as const;
  const formats = [
    ['float', {}],
    ['BitNet', { activationFormat: 'int8', weightFormat: 'ternary', subNorms: true }],
    [
      'BitNet, experts',
      { activationFormat: 'int8', weightFormat: 'ternary', subNorms: true, nExperts: 3, nExpertsPerToken: 2 },
    ],
  ] as const;
  it.each(skips.flatMap((skip) => formats.map(([name, format]) => [name, skip, format] as const)))(
    '(%s) has the same loss and gradients without the skip "%s"',
    (_name, skip, format) => {
      const input = { ...sparse, activation: 'relu', hiddenDim: 40, sparsity: 0.6, ...format } as const;
      const model = build(input);
      // Most gates closed, so that every skip is in use.
      for (const { name, value } of model.parameters) {
        if (name.endsWith('ffnNorm')) value.data.fill(0.5);
      }
      const all = gradientsOf(model);
      const without = gradientsOf(model, { skips: { [skip]: false } });
      expect(without.loss).toBeCloseTo(all.loss, 12);
      expect(without.l1).toBeCloseTo(all.l1, 12);
      expectEqual(without.gradients, all.gradients);
      const none = gradientsOf(model, { skips: NO_SKIPS });
      expectEqual(none.gradients, all.gradients);
    },
  );

  it.each<Partial<ModelConfigInput>>([
    { qkvBias: true, qkNorm: true, sparsity: 0.5 },
    { sparsifier: 'block', blockSize: 4, sparsity: 0.5 },
    { sparsifier: 'threshold', thresholds: { qkv: 0.5, o: 0.2, gateUp: 0.5, down: 0.1 } },
    { sparsifier: 'threshold', thresholds: { gate: 0.2 }, gradient: 'masked', activation: 'silu' },
    { sparsifier: 'relu', hiddenL1: 0.1 },
    { sparsifier: 'drelu', hiddenL1: 0.1 },
    { sparsifier: 'none' },
  ])('with %j recomputes the same bits, skips change nothing, and no memory is lost', (input) => {
    const model = build(input);
    const bytes = model.pool.liveBytes;
    const statistics = new StepStatistics(model.config, { detail: true });
    const all = gradientsOf(model, { statistics });
    expect(gradientsOf(model, { recompute: true })).toEqual(all);
    const none = gradientsOf(model, { skips: NO_SKIPS });
    expect(none.l1).toBeCloseTo(all.l1, 12);
    expectEqual(none.gradients, all.gradients);
    expect(model.pool.liveBytes).toBe(bytes);
    for (const shares of Object.values(statistics.sparsity())) {
      for (const share of shares) expect(share >= 0 && share < 1).toBe(true);
    }
  });

  it('has as many zeros at each point as its sparsifier makes', () => {
    const zerosOf = (input: Partial<ModelConfigInput>) => {
      const model = build(input);
      const statistics = new StepStatistics(model.config);
      gradientsOf(model, { statistics });
      return statistics.sparsity();
    };
    const blocks = zerosOf({ sparsifier: 'block', blockSize: 4, sparsity: { qkv: 0.5, o: 0.75, down: 0.25 } });
    expect([blocks.qkv, blocks.o, blocks.gateUp]).toEqual([
      [0.5, 0.5],
      [0.75, 0.75],
      [0, 0],
    ]);
    // Natural zeros on top of the quarter that is dropped.
    for (const share of blocks.down) expect(share).toBeGreaterThan(0.3);
    const natural = zerosOf({});
    const drelu = zerosOf({ sparsifier: 'drelu' });
    expect([drelu.qkv, drelu.o, drelu.gateUp]).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    for (const [layer, share] of drelu.down.entries()) expect(share).toBeGreaterThan(natural.down[layer] + 0.1);
    const normRelu = zerosOf({ sparsifier: 'norm-relu' });
    for (const share of [normRelu.qkv, normRelu.gateUp].flat()) expect(share > 0.2 && share < 0.8).toBe(true);
    // What attention puts out stays as it is, and hidden activations have their natural zeros alone.
    expect(normRelu.o).toEqual([0, 0]);
    for (const share of normRelu.down) expect(share > 0.2 && share < 0.8).toBe(true);
    const relu = zerosOf({ sparsifier: 'relu' });
    for (const share of [relu.qkv, relu.o, relu.gateUp].flat()) expect(share > 0.2 && share < 0.8).toBe(true);
    const gates = { sparsifier: 'threshold', thresholds: { gate: 0.3 }, gradient: 'masked' } as const;
    const cats = zerosOf({ ...gates, activation: 'silu' });
    expect([cats.qkv, cats.o, cats.gateUp]).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    for (const share of cats.down) expect(share > 0.1 && share < 0.9).toBe(true);
    expect(zerosOf({ sparsifier: 'none' })).toEqual(natural);
  });

  it('scales thresholds like shares, and a ReLU not at all', () => {
    const thresholds = { qkv: 0.5, o: 0.2, gateUp: 0.5, down: 0.1 };
    const half = { qkv: 0.25, o: 0.1, gateUp: 0.25, down: 0.05 };
    const scaled = gradientsOf(build({ sparsifier: 'threshold', thresholds }), { sparsityScale: 0.5 });
    expect(scaled).toEqual(gradientsOf(build({ sparsifier: 'threshold', thresholds: half })));
    const relu = build({ sparsifier: 'relu' });
    expect(gradientsOf(relu, { sparsityScale: 0.5 })).toEqual(gradientsOf(relu));
  });

  it.each(formats)('(%s) recomputes the same bits in less memory', (_name, format) => {
    const model = build({ ...sparse, nLayers: 6, ...format });
    const bytesOfStep = (options: object) => {
      const before = model.pool.liveBytes;
      const result = gradientsOf(model, { ...options, statistics: new StepStatistics(model.config) });
      expect(model.pool.liveBytes).toBe(before);
      return result;
    };
    const recomputed = bytesOfStep({ recompute: true });
    const peakRecomputed = model.pool.peakBytes;
    const kept = bytesOfStep({});
    expect(recomputed).toEqual(kept);
    const parameters = model.pool.liveBytes;
    expect(peakRecomputed - parameters).toBeLessThan((model.pool.peakBytes - parameters) / 2);
  });

  it('with ternary weights has the loss of what it multiplies, whose gradients are those of the latent weights', () => {
    const model = build({ ...sparse, weightFormat: 'ternary', subNorms: true });
    const multiplied = build({ ...sparse, subNorms: true });
    const numbers = model.multipliedParameters();
    for (const { name, value } of multiplied.parameters) value.data.set(numbers.get(name)!.data);
    expect(new Set(numbers.get('layers.1.o')!.data.map(Math.abs)).size).toBe(2);
    expect(gradientsOf(model)).toEqual(gradientsOf(multiplied));
  });

  it('makes ternary weights anew of changed parameters, but where it is told that they are the same', () => {
    const model = build({ ...sparse, weightFormat: 'ternary' });
    const before = gradientsOf(model);
    const o = model.parameters.find(({ name }) => name === 'layers.0.o')!.value;
    for (let i = 0; i < o.data.length; i++) o.data[i] *= -2;
    expect(gradientsOf(model, { sameParameters: true })).toEqual(before);
    expect(gradientsOf(model).loss).not.toBe(before.loss);
    for (let i = 0; i < o.data.length; i++) o.data[i] *= -0.5;
    expect(gradientsOf(model)).toEqual(before);
  });

  it('rounds what projections multiply to 8 bits, whose gradient goes straight through', () => {
    // Nothing is selected and no gate closes, so that small changes stay small.
    const smooth = { activation: 'silu', sparsity: 0 } as const;
    const rounded = gradientsOf(build({ ...smooth, activationFormat: 'int8' }));
    const float = gradientsOf(build(smooth));
    // 127 steps for the largest: the losses are near each other and not the same.
    expect(Math.abs(rounded.loss - float.loss)).toBeGreaterThan(1e-6);
    expect(Math.abs(rounded.loss - float.loss) / float.loss).toBeLessThan(0.02);
    for (const [p, gradient] of rounded.gradients.entries()) {
      const difference = Math.hypot(...gradient.map((value, i) => value - float.gradients[p][i]));
      expect(difference / Math.hypot(...float.gradients[p])).toBeLessThan(0.2);
    }
  });

  it('counts a recomputed pass once', () => {
    const model = build(sparse);
    const zerosOf = (recompute: boolean) => {
      const statistics = new StepStatistics(model.config);
      gradientsOf(model, { recompute, statistics });
      return statistics.sparsity();
    };
    expect(zerosOf(true)).toEqual(zerosOf(false));
  });

  it('does not look ahead', () => {
    const model = build(sparse);
    const logits = model.logits(ids, shape);
    const changed = intTensor(backend, ids.data);
    changed.data[4] = (changed.data[4] + 1) % 11; // the last token of the first sequence
    const after = model.logits(changed, shape);
    const [before, now] = [logits, after].map(({ data }) => Array.from(data));
    expect(now.slice(0, 4 * 11)).toEqual(before.slice(0, 4 * 11));
    expect(now.slice(5 * 11)).toEqual(before.slice(5 * 11));
    expect(now.slice(4 * 11, 5 * 11)).not.toEqual(before.slice(4 * 11, 5 * 11));
  });

  it('loses no memory, and a forward alone needs less than a step', () => {
    const model = build({ ...sparse, nLayers: 6 });
    const { pool } = model;
    const parametersOnly = pool.liveBytes;
    model.loss(ids, targets, shape);
    const forwardBytes = pool.peakBytes - parametersOnly;
    expect(pool.liveBytes).toBe(parametersOnly);
    model.lossAndGradients(ids, targets, shape);
    expect(pool.liveBytes).toBe(parametersOnly);
    expect(pool.peakBytes - parametersOnly).toBeGreaterThan(2 * forwardBytes);
    model.dispose();
    expect(pool.liveBytes).toBe(0);
  });

  it('starts every dtype from the same numbers, and every seed from others', () => {
    const create = (seed: number, dtype: FloatType) => {
      const model = Transformer.create(resolveConfig(SMALL), backend, { seed, dtype });
      return model.parameters.map(({ value }) => Array.from(value.data));
    };
    expect(create(1, 'f32')).toEqual(create(1, 'f64'));
    expect(create(1, 'f64')).not.toEqual(create(2, 'f64'));
  });

  it('refuses ids and targets of the wrong size, and sequences that are too long', () => {
    const model = build({});
    expect(() => model.loss(ids, targets, { batch: 1, seqLen: 5 })).toThrow(ShapeError);
    expect(() => model.loss(ids, intTensor(backend, [1]), shape)).toThrow(ShapeError);
    expect(() => model.loss(ids, targets, { batch: 1, seqLen: 10 })).toThrow(/at most 6 tokens, got 10/);
    expect(model.loss(ids, targets, shape)).toBeGreaterThan(0);
  });
});
