import { describe, expect, it } from 'vitest';
import { intTensor, randomIds } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { keptCount } from './config.ts';
import { denseForwardFlops, denseTrainingFlops } from './flops.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { StepStatistics } from './statistics.ts';
import { Transformer } from './transformer.ts';

const backend = createReferenceBackend();
const shape = { batch: 2, seqLen: 6 };
const ids = randomIds(backend, 12, 13, 1);

function measure(input: Partial<ModelConfigInput>, prepare?: (model: Transformer) => void, targets = ids) {
  const sizes = { dim: 16, hiddenDim: 24, nLayers: 2, nHeads: 2, nKvHeads: 1, vocabSize: 13, seqLen: 6 };
  const config = resolveConfig({ ...sizes, ...input });
  const model = Transformer.create(config, backend, { seed: 1 });
  prepare?.(model);
  const statistics = new StepStatistics(config, { detail: true });
  const repeat = () => model.lossAndGradients(ids, targets, shape, { statistics });
  repeat();
  return { config, statistics, repeat };
}

describe('StepStatistics', () => {
  it('counts the operations of a dense step as the formula does', () => {
    const { config, statistics } = measure({ activation: 'silu' });
    expect(statistics.flops).toBe(denseTrainingFlops(config, shape));
    expect(denseTrainingFlops(config, shape)).toBe(3 * denseForwardFlops(config, shape));
    expect(statistics.modelSparsity()).toBe(0);
    expect(statistics.energyKept()).toEqual({ qkv: [1, 1], o: [1, 1], gateUp: [1, 1], down: [1, 1] });
    expect(statistics.deadChannels()).toEqual([0, 0]);
  });

  it('counts the head for the tokens that have a target alone', () => {
    const targets = intTensor(
      backend,
      Array.from(ids.data, (id, token) => (token % 3 === 0 ? id : -1)),
    );
    const { config, statistics } = measure({ activation: 'silu' }, undefined, targets);
    expect(statistics.targets).toBe(4);
    expect(statistics.flops).toBe(denseTrainingFlops(config, { ...shape, targets: 4 }));
    expect(denseTrainingFlops(config, shape) - statistics.flops).toBe(3 * 2 * 8 * config.dim * config.vocabSize);
  });

  it('counts selected zeros by point and layer', () => {
    const sparsity = { qkv: [0.5, 0.25], o: 0.4, gateUp: 0, down: 0.7 };
    const { config, statistics, repeat } = measure({ activation: 'silu', sparsity });
    const share = (value: number, features: number) => (features - keptCount(value, features)) / features;
    const expected = {
      qkv: [share(0.5, 16), share(0.25, 16)],
      o: [share(0.4, 16), share(0.4, 16)],
      gateUp: [0, 0],
      down: [share(0.7, 24), share(0.7, 24)],
    };
    expect(statistics.sparsity()).toEqual(expected);
    repeat();
    expect(statistics.sparsity()).toEqual(expected);
    // Weighted by the parameters behind each point: qkv 16 x 32, o 16 x 16, gateUp 16 x 48, down 24 x 16.
    const zeros = [512, 256, 384].map(
      (size, i) => size * [expected.qkv, expected.o, expected.down][i].reduce((a, b) => a + b),
    );
    expect(statistics.modelSparsity()).toBeCloseTo(zeros.reduce((a, b) => a + b) / (2 * (512 + 256 + 768 + 384)), 12);
    const { qkv, gateUp } = statistics.energyKept();
    expect(qkv[0]).toBeGreaterThan(0.5); // the larger half of the values holds more than half of the energy
    expect(qkv[0]).toBeLessThan(qkv[1]);
    expect(gateUp).toEqual([1, 1]);
    expect(statistics.flops).toBeLessThan(2 * denseTrainingFlops(config, shape));
  });

  it('counts natural zeros and channels that no token opens', () => {
    const { statistics } = measure({ activation: 'relu2' }, (model) => {
      const gateUp = model.parameters.find(({ name }) => name === 'layers.1.gateUp')!.value.data;
      // Gates without weights are never above 0: the first 6 of 24 channels of layer 1 stay closed.
      for (let row = 0; row < 16; row++) gateUp.fill(0, row * 48, row * 48 + 6);
    });
    const { qkv, down } = statistics.sparsity();
    expect(qkv).toEqual([0, 0]);
    expect(down[0]).toBeGreaterThan(0.2);
    expect(down[1]).toBeGreaterThan(6 / 24);
    expect(statistics.deadChannels()[1]).toBeGreaterThanOrEqual(6 / 24);
    expect(statistics.deadChannels()[0]).toBeLessThan(6 / 24);
  });

  it('counts closed gates that a selection keeps as the zeros that they are', () => {
    const closeAll = (model: Transformer) => {
      for (const { name, value } of model.parameters) if (name.endsWith('.gateUp')) value.data.fill(0);
    };
    const { statistics } = measure({ activation: 'relu2', sparsity: { down: 0.5 } }, closeAll);
    expect(statistics.sparsity().down).toEqual([1, 1]);
    expect(statistics.deadChannels()).toEqual([1, 1]);
  });
});
