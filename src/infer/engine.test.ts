import { describe, expect, it } from 'vitest';
import type { Backend } from '../backend.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { type ModelConfig, type ModelConfigInput, resolveConfig } from '../model/config.ts';
import { Transformer } from '../model/transformer.ts';
import type { FloatTensor, IntTensor } from '../tensor/tensor.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { Engine } from './engine.ts';

const SHAPE: ModelConfigInput = {
  dim: 32,
  hiddenDim: 80,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  vocabSize: 50,
  seqLen: 24,
};

/** f64 on the reference backend: orders of summation agree to 1e-12, so a tolerance of 1e-9 means the same function. */
const backend: Backend = createReferenceBackend();

function modelOf(input: Partial<ModelConfigInput>): Transformer {
  const model = Transformer.create(resolveConfig({ ...SHAPE, ...input }), backend, { seed: 3, dtype: 'f64' });
  // Fresh weights of 0.02 leave the blocks almost without influence; these make every part of the model matter.
  for (const { value } of model.parameters) for (let i = 0; i < value.data.length; i++) value.data[i] *= 8;
  return model;
}

const parametersOf = (model: Transformer): Map<string, FloatTensor> =>
  new Map(model.parameters.map(({ name, value }) => [name, value]));

const engineOf = (model: Transformer, options = {}): Engine =>
  new Engine(model.config, parametersOf(model), backend, options);

/** Logits of the last position by the model that trains: another forward pass. */
function expectedLogits(model: Transformer, ids: number[]): Float64Array {
  const tensor: IntTensor = { dtype: 'i32', shape: [ids.length], data: Int32Array.from(ids), address: 0 };
  const logits = model.logits(tensor, { batch: 1, seqLen: ids.length });
  const last = Float64Array.from(logits.data.subarray((ids.length - 1) * model.config.vocabSize));
  model.pool.release(logits);
  return last;
}

function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(got.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i] - expected[i]));
  expect(worst).toBeLessThan(1e-9);
}

const idsOf = (length: number): number[] => Array.from({ length }, (_, i) => (i * 17 + 5) % 50);

const VARIANTS: Record<string, Partial<ModelConfigInput>> = {
  'dense SwiGLU, untied': { activation: 'silu', tiedEmbeddings: false },
  'dense ReLU^2': {},
  'top-K 60 %, ReLU^2': { sparsity: 0.6 },
  'top-K with natural zeros, all four points': { sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0.7 } },
  'top-K SwiGLU re-scaled': { activation: 'silu', sparsity: 0.5, rescale: 'l2' },
  'ReLU re-scaled, down by natural zeros': { activation: 'relu', sparsity: 0.4, rescale: 'l2' },
  'nothing selected but re-scaled': { activation: 'silu', rescale: 'l2' },
  'few zeros: the products run dense': { sparsity: 0.1 },
  'by layer': { sparsity: { qkv: [0, 0.5], o: [0.5, 0], gateUp: [0.8, 0.1], down: [0, 0.6] } },
};

describe('Engine', () => {
  for (const [name, input] of Object.entries(VARIANTS)) {
    it(`is the model that trains: ${name}`, () => {
      const model = modelOf(input);
      const engine = engineOf(model);
      const ids = idsOf(SHAPE.seqLen as number);
      for (let length = 1; length <= ids.length; length++) {
        const expected = expectedLogits(model, ids.slice(0, length));
        expectClose(engine.decode(ids[length - 1]), expected); // token by token
        if (length % 7 !== 0) continue;
        const whole = engineOf(model);
        expectClose(whole.prefill(ids.slice(0, length)), expected); // at once
        whole.reset();
        whole.prefill(ids.slice(0, 4));
        expectClose(whole.prefill(ids.slice(4, length)), expected); // in pieces
        whole.dispose();
      }
    });
  }

  it('takes prompts longer than a chunk', () => {
    const model = modelOf({
      ...SHAPE,
      dim: 8,
      nHeads: 1,
      nKvHeads: 1,
      hiddenDim: 12,
      nLayers: 1,
      seqLen: 300,
      sparsity: 0.5,
    });
    const ids = idsOf(300);
    expectClose(engineOf(model).prefill(ids), expectedLogits(model, ids));
  });

  it('knows nothing of other sequences: a reset or another engine between changes no bit', () => {
    const model = modelOf({ sparsity: 0.5 });
    const alone = [...engineOf(model).prefill([1, 2, 3, 4, 5])];
    const engine = engineOf(model);
    const other = engineOf(model);
    engine.prefill([40, 41, 42, 43, 44, 45, 46]);
    engine.reset();
    engine.prefill([1, 2, 3]);
    other.prefill([9, 8, 7]);
    expectClose(engine.prefill([4, 5]), alone);
    engine.reset();
    expect([...engine.prefill([1, 2, 3, 4, 5])]).toEqual(alone);
  });

  it('applies a factor to every sparsity', () => {
    const half = engineOf(modelOf({ sparsity: 0.6 }), { sparsityScale: 0.5 });
    const direct = engineOf(modelOf({ sparsity: 0.3 }));
    expect([...half.prefill([3, 1, 4])]).toEqual([...direct.prefill([3, 1, 4])]);
  });

  it('allocates nothing after the constructor', () => {
    let allocations = 0;
    const counting: Backend = {
      ...backend,
      allocate: (dtype, length) => {
        allocations++;
        return backend.allocate(dtype, length);
      },
    };
    const model = modelOf({ sparsity: 0.5 });
    const engine = new Engine(model.config, parametersOf(model), counting);
    const before = allocations;
    engine.prefill([1, 2, 3, 4]);
    engine.decode(5);
    expect(before).toBeGreaterThan(0);
    expect(allocations).toBe(before);
  });

  it('gives back all memory', () => {
    let live = 0;
    const counting: Backend = {
      ...backend,
      allocate: (dtype, length) => {
        live++;
        return backend.allocate(dtype, length);
      },
      free: () => {
        live--;
      },
    };
    const model = modelOf({});
    const engine = new Engine(model.config, parametersOf(model), counting);
    expect(live).toBeGreaterThan(0);
    engine.dispose();
    expect(live).toBe(0);
  });
});

describe('statistics', () => {
  it('counts what was selected, and open gates', () => {
    const engine = engineOf(modelOf({ sparsity: { qkv: 0.5, o: 0.25, gateUp: 0, down: 0 } }));
    engine.prefill(idsOf(10));
    engine.decode(3);
    expect(engine.statistics.tokens).toBe(11);
    const { qkv, o, gateUp, down } = engine.statistics.sparsity();
    expect(qkv).toEqual([0.5, 0.5]);
    expect(o).toEqual([0.25, 0.25]);
    expect(gateUp).toEqual([0, 0]);
    for (const zeros of down) {
      expect(zeros).toBeGreaterThan(0.2); // about half of the gates of random weights are closed
      expect(zeros).toBeLessThan(0.8);
    }
  });

  it('counts closed channels among the selected as zeros', () => {
    const natural = engineOf(modelOf({}));
    const selected = engineOf(modelOf({ sparsity: { down: 0.1 } })); // keeps 72: more than are open
    natural.prefill(idsOf(10));
    selected.prefill(idsOf(10));
    expect(selected.statistics.sparsity().down).toEqual(natural.statistics.sparsity().down);
  });

  it('weights points by the parameters that they skip', () => {
    const engine = engineOf(modelOf({ activation: 'silu', sparsity: { qkv: 0.5, o: 0, gateUp: 0, down: 0 } }));
    engine.prefill([1, 2]);
    const total = 32 * 64 + 32 * 32 + 32 * 160 + 80 * 32;
    expect(engine.statistics.modelSparsity()).toBeCloseTo((0.5 * 32 * 64) / total, 12);
  });
});

describe('errors', () => {
  const model = modelOf({});
  const build = (config: ModelConfig, parameters: Map<string, FloatTensor>, options = {}) =>
    new Engine(config, parameters, backend, options);

  it('names a missing parameter and one of another shape', () => {
    const parameters = parametersOf(model);
    parameters.delete('layers.1.o');
    expect(() => build(model.config, parameters)).toThrow(ShapeError);
    expect(() => build(model.config, parameters)).toThrow('layers.1.o');
    const wider = resolveConfig({ ...SHAPE, hiddenDim: 96 });
    expect(() => build(wider, parametersOf(model))).toThrow('layers.0.gateUp: expected [32, 192], got [32, 160]');
  });

  it('says what the context holds', () => {
    const engine = engineOf(model, { maxTokens: 4 });
    engine.prefill([1, 2, 3]);
    expect(() => engine.prefill([4, 5])).toThrow(UsageError);
    expect(() => engine.prefill([4, 5])).toThrow('it holds 4 tokens, 3 are in it and 2 more');
    engine.decode(4);
    expect(() => engine.decode(5)).toThrow(UsageError);
    for (const maxTokens of [0, 2.5, 25]) expect(() => engineOf(model, { maxTokens })).toThrow(UsageError);
  });

  it('refuses no ids and ids outside the vocabulary', () => {
    const engine = engineOf(model);
    for (const ids of [[], [50], [-1], [1.5], [3, NaN]]) expect(() => engine.prefill(ids)).toThrow(UsageError);
    expect(engine.position).toBe(0);
  });
});
