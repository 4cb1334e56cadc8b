import { describe, expect, it } from 'vitest';
import {
  backend,
  engineOf,
  engineWith,
  idsOf,
  modelOf,
  SHAPE,
  single,
  weightsOf,
} from '../../test/support/engine-fixture.ts';
import { modelWeights, setDequantized, type WeightChoice } from '../../test/support/model-weights.ts';
import type { Backend, Kernels } from '../backend.ts';
import { POINTS } from '../model/config.ts';
import { type ModelConfigInput, resolveConfig } from '../model/resolve-config.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import type { Transformer } from '../model/transformer.ts';
import { KV_TYPES } from '../tensor/kv-slots.ts';
import type { IntTensor } from '../tensor/tensor.ts';
import { UsageError } from '../util/errors.ts';
import { Engine, type EngineOptions } from './engine.ts';

/** Logits of every position by the model that trains: another forward pass. */
function expectedRows(model: Transformer, ids: readonly number[]): Float32Array[] {
  const tensor: IntTensor = { dtype: 'i32', shape: [ids.length], data: Int32Array.from(ids), address: 0 };
  const logits = model.logits(tensor, { batch: 1, seqLen: ids.length });
  const { vocabSize } = model.config;
  const rows = ids.map((_, row) => Float32Array.from(logits.data.subarray(row * vocabSize, (row + 1) * vocabSize)));
  model.pool.release(logits);
  return rows;
}

const expectedLogits = (model: Transformer, ids: readonly number[]) => expectedRows(model, ids)[ids.length - 1];

/** Relative to the largest: f32 in another order of sums. */
const CLOSE = 1e-5;

function differenceOf(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  expect(largest).toBeGreaterThan(0.1);
  return worst / largest;
}

const VARIANTS: Record<string, Partial<ModelConfigInput>> = {
  'dense SwiGLU, untied': { activation: 'silu', tiedEmbeddings: false },
  'dense ReLU^2': {},
  'top-K 60 %, ReLU^2': { sparsity: 0.6 },
  'top-K with natural zeros, all four points': { sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0.7 } },
  'top-K before down that keeps more than are open': { sparsity: { down: 0.3 } },
  'top-K SwiGLU re-scaled': { activation: 'silu', sparsity: 0.5, rescale: 'l2' },
  'ReLU re-scaled, down by natural zeros': { activation: 'relu', sparsity: 0.4, rescale: 'l2' },
  're-scaled at o and down alone': { sparsity: 0.5, rescale: { o: 'l2', down: 'l2' } },
  're-scaled before gate and up alone': { activation: 'silu', sparsity: 0.5, rescale: { gateUp: 'l2' } },
  'nothing selected but re-scaled': { activation: 'silu', rescale: 'l2' },
  'few zeros: the products run dense': { sparsity: 0.1 },
  'blocks at all four points': {
    sparsifier: 'block',
    blockSize: 16,
    sparsity: { qkv: 0.5, o: [0.75, 0], gateUp: 0.6, down: 0.5 },
  },
  'blocks that keep more than are open': { sparsifier: 'block', blockSize: 8, sparsity: { qkv: 0.25, down: 0.1 } },
  'blocks before SwiGLU, re-scaled': {
    activation: 'silu',
    sparsifier: 'block',
    blockSize: 16,
    sparsity: 0.6,
    rescale: 'l2',
  },
  'ReLU before every projection': { sparsifier: 'relu' },
  'ReLU before every projection, re-scaled': { sparsifier: 'relu', activation: 'relu', rescale: 'l2' },
  'ReLU behind the norms': { sparsifier: 'norm-relu', activation: 'relu' },
  dReLU: { sparsifier: 'drelu' },
  thresholds: { sparsifier: 'threshold', thresholds: { qkv: 0.6, o: [0.1, 0.3], gateUp: 0.7, down: 0.2 } },
  'thresholds before SwiGLU': {
    activation: 'silu',
    sparsifier: 'threshold',
    thresholds: { qkv: 0.6, o: 0.2, gateUp: [0, 0.7], down: 0.1 },
  },
  'thresholds at the gates of SwiGLU': {
    activation: 'silu',
    sparsifier: 'threshold',
    thresholds: { gate: [0.1, 0.3] },
    gradient: 'masked',
  },
  'thresholds at ReLU^2 gates and at all points': {
    sparsifier: 'threshold',
    thresholds: { qkv: 0.5, o: 0.1, gateUp: 0.5, down: 0.1, gate: 0.2 },
    gradient: 'masked',
  },
  'two of four experts, SwiGLU, all four points': {
    ...{ nExperts: 4, nExpertsPerToken: 2, activation: 'silu', tiedEmbeddings: false },
    sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0.5 },
  },
  'one of eight experts, natural zeros': { nExperts: 8, nExpertsPerToken: 1, sparsity: 0.5 },
  'three of three experts, dense, re-scaled': { nExperts: 3, nExpertsPerToken: 3, rescale: 'l2' },
  'experts of 8-bit activations, ternary weights and sub-norms': {
    ...{ nExperts: 4, nExpertsPerToken: 2, activationFormat: 'int8', weightFormat: 'ternary', subNorms: true },
    sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0.5 },
  },
  'blocks of 8-bit activations behind sub-norms': {
    ...{ sparsifier: 'block', blockSize: 16, activationFormat: 'int8', subNorms: true },
    sparsity: { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.5 },
  },
  'dReLU behind sub-norms': { sparsifier: 'drelu', subNorms: true },
  'biases, top-K': { qkvBias: true, sparsity: 0.5 },
  'norms of heads, SwiGLU, scaled angles': {
    ...{ qkNorm: true, activation: 'silu', ropeScaling: { type: 'linear', factor: 4 } },
  },
  'biases and norms of heads before experts': {
    ...{ qkvBias: true, qkNorm: true, nExperts: 4, nExpertsPerToken: 2, headDim: 6 },
  },
  'by layer': { sparsity: { qkv: [0, 0.5], o: [0.5, 0], gateUp: [0.8, 0.1], down: [0, 0.6] } },
};

describe('Engine', () => {
  for (const [name, input] of Object.entries(VARIANTS)) {
    it(`is the model that trains: ${name}`, () => {
      const model = modelOf(input);
      const layouts = [single(engineOf(model))];
      const byChannel = () => single(engineWith(model, { type: 'f32', layout: 'channels' }));
      if (input.thresholds?.gate !== undefined) expect(byChannel).toThrow(UsageError);
      else if (input.activation !== 'silu') layouts.push(byChannel());
      const ids = idsOf(SHAPE.seqLen as number);
      const expected = expectedRows(model, ids);
      for (const sequence of layouts) {
        for (const [i, id] of ids.entries()) {
          expect(differenceOf(sequence.decode(id), expected[i]), `decode ${i}`).toBeLessThan(CLOSE);
        }
        for (const pieces of [[7], [24], [4, 24], [5, 6, 13, 24]]) {
          sequence.reset();
          for (const length of pieces) {
            const got = sequence.prefill(ids.slice(sequence.position, length));
            expect(differenceOf(got, expected[length - 1]), `${pieces}`).toBeLessThan(CLOSE);
          }
        }
      }
    });
  }

  it('reads bf16 weights as the numbers that they stand for', () => {
    const model = modelOf({ sparsity: 0.5, tiedEmbeddings: false });
    const weights = modelWeights(model, backend, { type: 'bf16' });
    const exact = expectedLogits(model, idsOf(12));
    setDequantized(model, weights);
    const expected = expectedLogits(model, idsOf(12));
    const got = single(new Engine(model.config, weights, backend)).prefill(idsOf(12));
    expect(differenceOf(got, expected)).toBeLessThan(CLOSE);
    expect(differenceOf(got, exact)).toBeGreaterThan(10 * CLOSE); // it is another model
  });

  // Activations in 8 bits have no counterpart in training: a dense model, whose results follow its inputs, within what 8 bits lose.
  for (const [type, bound] of [
    ['int8', 0.04],
    ['ternary', 0.06],
  ] as const) {
    it(`computes with ${type} weights what they stand for, up to the rounding of activations`, () => {
      const model = modelOf({ activation: 'silu', tiedEmbeddings: false });
      const weights = modelWeights(model, backend, { type });
      setDequantized(model, weights);
      const expected = expectedLogits(model, idsOf(12));
      const got = single(new Engine(model.config, weights, backend)).prefill(idsOf(12));
      expect(differenceOf(got, expected)).toBeLessThan(bound);
      expect(differenceOf(got, expected)).toBeGreaterThan(10 * CLOSE);
    });
  }

  it('re-scales at the points that are named', () => {
    const logits = (rescale: NonNullable<ModelConfigInput['rescale']>) =>
      single(engineOf(modelOf({ activation: 'silu', rescale })))
        .prefill(idsOf(12))
        .slice();
    const each = [...POINTS.map((point) => ({ [point]: 'l2' }) as const), 'none' as const].map(logits);
    for (const [i, one] of each.entries()) {
      for (const other of each.slice(i + 1)) expect(differenceOf(one, other)).toBeGreaterThan(0.01);
    }
    expect(logits({ qkv: 'l2', o: 'l2', gateUp: 'l2', down: 'l2' })).toEqual(logits('l2'));
  });

  it('takes tables of another type than the projections', () => {
    const model = modelOf({ sparsity: 0.5, tiedEmbeddings: false });
    const weights = modelWeights(model, backend, { type: 'f32', tables: 'int8' });
    setDequantized(model, weights);
    // Only the head's input is rounded to 8 bits.
    const got = single(new Engine(model.config, weights, backend)).prefill(idsOf(9));
    expect(differenceOf(got, expectedLogits(model, idsOf(9)))).toBeLessThan(0.01);
  });

  it('takes prompts longer than a batch', () => {
    const shape = { dim: 8, nHeads: 1, nKvHeads: 1, hiddenDim: 12, nLayers: 1, seqLen: 300, sparsity: 0.5 };
    const model = modelOf(shape);
    const ids = idsOf(300);
    const expected = expectedLogits(model, ids);
    expect(differenceOf(single(engineOf(model)).prefill(ids), expected)).toBeLessThan(CLOSE);
    expect(differenceOf(single(engineOf(model, { maxBatchTokens: 7 })).prefill(ids), expected)).toBeLessThan(CLOSE);
  });

  it('applies a factor to every sparsity', () => {
    const half = single(engineOf(modelOf({ sparsity: 0.6 }), { sparsityScale: 0.5 }));
    const direct = single(engineOf(modelOf({ sparsity: 0.3 })));
    expect([...half.prefill([3, 1, 4])]).toEqual([...direct.prefill([3, 1, 4])]);
  });

  it('counts what is really zero, and leaves hidden activations alone where that is asked for', () => {
    const blocks = { sparsifier: 'block', blockSize: 16, sparsity: { qkv: 0.5, down: 0.5 } } as const;
    const zerosOf = (input: Partial<ModelConfigInput>, options: EngineOptions = {}) => {
      const engine = engineOf(modelOf({ ...input, nLayers: 1 }), options);
      single(engine).prefill(idsOf(20));
      return engine.statistics.sparsity();
    };
    const natural = zerosOf({ sparsifier: 'block', blockSize: 16, sparsity: { qkv: 0.5 } }).down[0];
    const selected = zerosOf(blocks);
    expect(selected.qkv).toEqual([0.5]);
    expect(selected.down[0]).toBeGreaterThan(0.5);
    expect(zerosOf(blocks, { selectHidden: false }).down[0]).toBe(natural);
    expect(zerosOf({ sparsifier: 'drelu' }).down[0]).toBeGreaterThan(0.6);
  });

  it('multiplies natural zeros like any number where that is asked for', () => {
    const model = modelOf({});
    const skipping = single(engineOf(model)).prefill(idsOf(9));
    const lists: string[] = [];
    const kernels = new Proxy(backend.kernels, {
      get(target, name) {
        if (name === 'countNonZeros' || name === 'gatherNonZeros') lists.push(name);
        return Reflect.get(target, name) as unknown;
      },
    });
    const dense = new Engine(model.config, weightsOf(model), { ...backend, kernels }, { skipNaturalZeros: false });
    expect(differenceOf(single(dense).prefill(idsOf(9)), skipping)).toBeLessThan(CLOSE);
    expect(lists).toEqual([]);
    expect(dense.statistics.sparsity().down).toEqual([0, 0]);
    const byChannel = () => engineWith(model, { type: 'f32', layout: 'channels' }, { skipNaturalZeros: false });
    expect(byChannel).toThrow('give gate and up fused');
  });
});

describe('a batch', () => {
  /** What each of three sequences of different lengths gets, token by token, from an engine of its own. */
  function alone(model: Transformer, choice: WeightChoice, overrides: readonly (SparsityOverride | undefined)[]) {
    return overrides.map((sparsity, s) => {
      const sequence = single(engineWith(model, choice), sparsity);
      return idsOf(9 + s, s).map((id) => [...sequence.decode(id)]);
    });
  }

  for (const { experts = 0, ...choice } of [
    { type: 'f32' },
    { type: 'int8' },
    { type: 'ternary', tables: 'bf16' },
    { type: 'int8', layout: 'channels' },
    { type: 'f32', experts: 4 },
    { type: 'int8', layout: 'channels', experts: 4 },
    { type: 'ternary', experts: 4 },
  ] as const satisfies (WeightChoice & { experts?: number })[]) {
    const name = `${Object.values(choice).join(', ')}${experts > 0 ? `, ${experts} experts` : ''}`;
    it(`gives each row what it gets alone: ${name}`, () => {
      const mixture = experts > 0 ? { nExperts: experts, nExpertsPerToken: 2 } : {};
      const model = modelOf({ ...mixture, sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0.5 } });
      const overrides = [undefined, { qkv: 0.7, down: 0.8 }, undefined];
      const expected = alone(model, choice, overrides);
      const engine = engineWith(model, choice, { maxSequences: 3 });
      const sequences = overrides.map((sparsity) => engine.createSequence(sparsity === undefined ? {} : { sparsity }));
      // Prompts of 5, 3 and 1 tokens at once, then a token of each, a piece of some, and the rest.
      const got: number[][][] = [[], [], []];
      for (const sizes of [
        [5, 3, 1],
        [1, 1, 1],
        [0, 4, 1],
        [3, 2, 8],
      ]) {
        const batch = sizes.flatMap((size, s) => {
          const ids = idsOf(9 + s, s).slice(sequences[s].length, sequences[s].length + size);
          return size === 0 ? [] : [{ sequence: sequences[s], ids, logits: 'all' as const, s }];
        });
        const results = engine.run(batch);
        results.forEach((logits, item) => {
          for (let row = 0; row < batch[item].ids.length; row++) {
            got[batch[item].s].push([...logits.subarray(row * 50, (row + 1) * 50)]);
          }
        });
      }
      // The reference adds in f64 in one order, whatever kernel: not only close.
      got.forEach((rows, s) => {
        expect(rows.length).toBeGreaterThanOrEqual(9);
        rows.forEach((row, i) => {
          expect(row, `sequence ${s}, token ${i}`).toEqual(expected[s][i]);
        });
      });
    });
  }

  for (const input of [
    { sparsifier: 'block', blockSize: 16, sparsity: { qkv: 0.5, o: 0.5, gateUp: 0.75, down: 0.5 } },
    { sparsifier: 'threshold', thresholds: { qkv: 0.6, o: 0.2, gateUp: 0.7, down: 0.1 } },
    { sparsifier: 'relu' },
    { sparsifier: 'drelu' },
  ] as const satisfies Partial<ModelConfigInput>[]) {
    it.each(['fused', 'channels'] as const)(`gives each row what it gets alone: ${input.sparsifier}, %s`, (layout) => {
      const model = modelOf(input);
      const choice = { type: 'int8', layout } as const;
      const expected = alone(model, choice, [undefined, undefined]);
      const engine = engineWith(model, choice, { maxSequences: 2 });
      const items = [0, 1].map((s) => ({
        sequence: engine.createSequence(),
        ids: idsOf(9 + s, s),
        logits: 'all' as const,
      }));
      engine.run(items).forEach((logits, s) => {
        expect(expected[s].flat()).toEqual([...logits]);
      });
    });
  }

  it('gives the logits that are asked for, in the order of the batch', () => {
    const model = modelOf({ sparsity: 0.5 });
    const engine = engineOf(model, { maxSequences: 3 });
    const [a, b, c] = [0.8, undefined, 0.8].map((sparsity) =>
      engine.createSequence(sparsity === undefined ? {} : { sparsity }),
    );
    const [all, last, none] = engine.run([
      { sequence: a, ids: [1, 2, 3], logits: 'all' },
      { sequence: b, ids: [4, 5], logits: 'last' },
      { sequence: c, ids: [6], logits: 'none' },
    ]);
    expect([all.length, last.length, none.length]).toEqual([150, 50, 0]);
    const other = engineOf(model);
    const first = single(other, 0.8);
    for (const [i, id] of [1, 2, 3].entries())
      expect([...first.decode(id)]).toEqual([...all.slice(50 * i, 50 * i + 50)]);
    expect([...single(engineOf(model)).prefill([4, 5])]).toEqual([...last]);
    expect([a.length, b.length, c.length]).toEqual([3, 2, 1]);
    expect(engine.run([])).toEqual([]);
  });

  it('replaces the sparsity of one sequence: the configured one of another model', () => {
    const sparser = modelOf({ sparsity: { qkv: 0.5, o: [0.25, 0.75], gateUp: 0.5, down: 0.9 } });
    const engine = engineOf(modelOf({ sparsity: 0.5 }), { maxSequences: 2 });
    const [own, other] = [single(engine), single(engine, { o: [0.25, 0.75], down: 0.9 })];
    const expected = [...single(engineOf(sparser)).prefill(idsOf(8))];
    own.prefill(idsOf(5));
    expect([...other.prefill(idsOf(8))]).toEqual(expected);
    expect(() => engine.createSequence({ sparsity: 1 })).toThrow(UsageError);
  });

  it('replaces the sparsity of blocks, and of no sparsifier that takes no share', () => {
    const blocks = { sparsifier: 'block', blockSize: 16 } as const;
    const engine = engineOf(modelOf({ ...blocks, sparsity: 0.5 }));
    const expected = single(engineOf(modelOf({ ...blocks, sparsity: { qkv: 0.75, o: 0.5, gateUp: 0.5, down: 0.25 } })));
    const got = single(engine, { qkv: 0.75, down: 0.25 });
    expect([...got.prefill(idsOf(8))]).toEqual([...expected.prefill(idsOf(8))]);
    const uneven = engineOf(modelOf({ ...blocks, hiddenDim: 88, sparsity: 0.5 }));
    expect(() => uneven.createSequence({ sparsity: { down: 0.5 } })).toThrow(
      'down has 88 features, which blocks of 16 do not divide',
    );
    for (const sparsifier of ['relu', 'drelu', 'none'] as const) {
      const fixed = engineOf(modelOf({ sparsifier }));
      expect(() => fixed.createSequence({ sparsity: 0.5 })).toThrow(
        `[sparsity] a model with sparsifier ${sparsifier} `,
      );
      expect(() => fixed.createSequence({ sparsity: 0.5 })).toThrow(
        'no share can be chosen at run time. Leave the sparsity out.',
      );
    }
  });
});

describe('sequences', () => {
  const model = modelOf({ sparsity: 0.5 });

  it('know nothing of each other: other tokens between change no bit', () => {
    const expected = [...single(engineOf(model)).prefill([1, 2, 3, 4, 5])];
    const engine = engineOf(model, { maxSequences: 2 });
    const [sequence, other] = [engine.createSequence(), engine.createSequence()];
    engine.run([{ sequence: other, ids: [40, 41, 42, 43, 44, 45], logits: 'last' }]);
    engine.run([{ sequence, ids: [1, 2, 3], logits: 'none' }]);
    engine.run([{ sequence: other, ids: [9, 8], logits: 'all' }]);
    expect([...engine.run([{ sequence, ids: [4, 5], logits: 'last' }])[0]]).toEqual(expected);
  });

  it('go on from where they were cut', () => {
    const engine = engineOf(model);
    const sequence = engine.createSequence();
    const run = (ids: number[]) => [...engine.run([{ sequence, ids, logits: 'last' }])[0]];
    const expected = run([1, 2, 3, 4, 5]);
    run([6, 7]);
    sequence.truncate(3);
    expect(sequence.length).toBe(3);
    expect(run([4, 5])).toEqual(expected);
    sequence.truncate(5);
    for (const length of [6, -1, 1.5]) expect(() => sequence.truncate(length)).toThrow(UsageError);
    sequence.truncate(0);
    expect(run([1, 2, 3, 4, 5])).toEqual(expected);
  });

  it('give their slot back when they are released, once', () => {
    const engine = engineOf(model, { maxSequences: 2 });
    const [first, second] = [engine.createSequence(), engine.createSequence()];
    engine.run([{ sequence: second, ids: [1, 2, 3], logits: 'none' }]);
    expect(() => engine.createSequence()).toThrow('all 2 sequences are in use');
    first.release();
    const third = engine.createSequence();
    first.release();
    expect(() => engine.createSequence()).toThrow(UsageError);
    expect(() => engine.run([{ sequence: first, ids: [1], logits: 'last' }])).toThrow('was released');
    const expected = [...single(engineOf(model)).prefill([1, 2, 3, 4])];
    expect([...engine.run([{ sequence: second, ids: [4], logits: 'last' }])[0]]).toEqual(expected);
    expect([...engine.run([{ sequence: third, ids: [1, 2, 3, 4], logits: 'last' }])[0]]).toEqual(expected);
  });
});

describe('a sliding window', () => {
  const shape = { dim: 16, hiddenDim: 32, nHeads: 2, nKvHeads: 1, seqLen: 400, nLayers: 1, slidingWindow: 5 };
  const config = resolveConfig({ ...SHAPE, ...shape });
  const model = modelOf({ ...shape, slidingWindow: 0 });
  const engineOfWindow = (options: EngineOptions = {}) => new Engine(config, weightsOf(model), backend, options);

  it('looks at the last tokens only: rotary positions are relative, so one layer sees them as a text of their own', () => {
    const ids = idsOf(200);
    const sequence = single(engineOfWindow({ maxBatchTokens: 30 }));
    sequence.prefill(ids.slice(0, 170)); // the ring of 64 positions goes round
    for (let length = 171; length <= 200; length += 7) {
      const got = sequence.prefill(ids.slice(sequence.position, length));
      expect(differenceOf(got, expectedLogits(model, ids.slice(length - 5, length)))).toBeLessThan(CLOSE);
    }
  });

  it('is as good as none where it is as long as the context', () => {
    const wide = new Engine({ ...config, slidingWindow: 400 }, weightsOf(model), backend);
    expect([...single(wide).prefill(idsOf(50))]).toEqual([...single(engineOf(model)).prefill(idsOf(50))]);
  });

  it('cuts as far back as the ring still holds the window', () => {
    const engine = engineOfWindow({ maxBatchTokens: 30 }); // 64 positions
    const sequence = engine.createSequence();
    const ids = idsOf(120);
    const run = (first: number, end: number) => {
      const [logits] = engine.run([{ sequence, ids: ids.slice(first, end), logits: 'last' }]);
      return [...logits];
    };
    for (let first = 0; first < 120; first += 30) run(first, first + 30);
    // Positions 56 .. 119 are there; the token at 60 looks back to 56.
    expect(() => sequence.truncate(59)).toThrow('dropped what stands before position 56, and position 55');
    sequence.truncate(60);
    expect(differenceOf(run(60, 61), expectedLogits(model, ids.slice(56, 61)))).toBeLessThan(CLOSE);
    sequence.truncate(0);
    expect(differenceOf(run(0, 3), expectedLogits(model, ids.slice(0, 3)))).toBeLessThan(CLOSE);
  });

  it('is that of training, through several layers', () => {
    const deep = { ...shape, nLayers: 3 };
    const trained = modelOf(deep);
    const ids = idsOf(120);
    const engine = new Engine(resolveConfig({ ...SHAPE, ...deep }), weightsOf(trained), backend, {
      maxBatchTokens: 30,
    });
    expect(differenceOf(single(engine).prefill(ids), expectedLogits(trained, ids))).toBeLessThan(CLOSE);
    expect(differenceOf(expectedLogits(trained, ids), expectedLogits(trained, ids.slice(-5)))).toBeGreaterThan(CLOSE);
    expect(() => resolveConfig({ ...SHAPE, slidingWindow: -1 })).toThrow(UsageError);
  });
});

describe('cached keys and values', () => {
  it('lose in 16 and 8 bits what those lose, and memory', () => {
    // Dense, so that an error changes no selection; scores of about 1, since their error is relative.
    const model = modelOf({ activation: 'silu' }, 4);
    const expected = expectedRows(model, idsOf(24));
    const bytes: number[] = [];
    for (const [i, bound] of [0, 4e-3, 4e-2].entries()) {
      const engine = engineOf(model, { kvType: KV_TYPES[i] });
      const sequence = single(engine);
      let worst = 0;
      for (const [row, id] of idsOf(24).entries()) {
        worst = Math.max(worst, differenceOf(sequence.decode(id), expected[row]));
      }
      expect(worst).toBeLessThan(bound + CLOSE);
      if (bound > 0) expect(worst).toBeGreaterThan(bound / 100);
      bytes.push(engine.kvBytesPerPosition);
    }
    expect(bytes).toEqual([2 * 2 * 2 * 8 * 4, 2 * 2 * 2 * 8 * 2, 2 * 2 * 2 * (8 + 4)]);
  });
});

describe('memory', () => {
  const model = modelOf({ sparsity: 0.5 });

  /** Counts what is allocated, and every object that a kernel is called with. */
  function watched() {
    const seen = new Set<unknown>();
    const state = { live: 0, allocations: 0, newObjects: 0 };
    const note = (value: unknown): void => {
      if (typeof value !== 'object' || value === null || seen.has(value)) return;
      seen.add(value);
      state.newObjects++;
    };
    const kernels = Object.fromEntries(
      Object.entries(backend.kernels).map(([name, kernel]) => [
        name,
        (...args: unknown[]) => {
          for (const arg of args) note(arg);
          (kernel as (...args: unknown[]) => void)(...args);
        },
      ]),
    );
    const watching: Backend = {
      ...backend,
      kernels: kernels as unknown as Kernels,
      allocate: (dtype, length) => {
        state.live++;
        state.allocations++;
        return backend.allocate(dtype, length);
      },
      free: () => {
        state.live--;
      },
    };
    return { state, backend: watching };
  }

  for (const [layout, nExperts] of [
    ['fused', 0],
    ['channels', 0],
    ['fused', 4],
    ['channels', 4],
  ] as const) {
    it(`is neither allocated nor viewed anew for a decoded token: ${layout}, ${nExperts} experts`, () => {
      const { state, backend: watching } = watched();
      const model = modelOf({ sparsity: 0.5, nExperts, nExpertsPerToken: nExperts / 2 });
      const weights = modelWeights(model, backend, { type: 'int8', layout });
      const engine = new Engine(model.config, weights, watching, { maxSequences: 2 });
      const sequences = [engine.createSequence(), engine.createSequence()];
      const decode = () => engine.run(sequences.map((sequence) => ({ sequence, ids: [5], logits: 'last' })));
      engine.run([{ sequence: sequences[0], ids: [1, 2, 3], logits: 'none' }]);
      engine.run([{ sequence: sequences[0], ids: [4], logits: 'last' }]);
      decode();
      const before = { ...state };
      engine.run([{ sequence: sequences[0], ids: [4], logits: 'last' }]);
      decode();
      // One object a layer would be two: the rotation's shape is made once a pass.
      expect(state.newObjects - before.newObjects).toBeLessThanOrEqual(2);
      expect(state.allocations).toBe(before.allocations);
    });
  }

  it('of more logits is taken when they are asked for', () => {
    const { state, backend: watching } = watched();
    const engine = new Engine(model.config, weightsOf(model), watching);
    const before = state.live;
    const bytes = engine.bytes;
    const [logits] = engine.run([{ sequence: engine.createSequence(), ids: [1, 2, 3, 4], logits: 'all' }]);
    expect(logits.length).toBe(200);
    expect(state.live).toBe(before);
    expect(engine.bytes).toBe(bytes + 3 * 50 * 4);
  });

  it('is given back whole', () => {
    const { state, backend: watching } = watched();
    const engine = new Engine(model.config, weightsOf(model), watching, { kvType: 'int8', maxSequences: 3 });
    expect(state.live).toBeGreaterThan(0);
    engine.dispose();
    expect(state.live).toBe(0);
  });
});
