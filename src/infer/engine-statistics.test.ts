import { describe, expect, it } from 'vitest';
import { engineOf, engineWith, idsOf, modelOf, single } from '../../test/support/engine-fixture.ts';

describe('statistics of a mixture', () => {
  it('are those of the experts that a token is sent to', () => {
    const experts = { nExperts: 4, nExpertsPerToken: 2, activation: 'silu' } as const;
    const model = modelOf({ ...experts, sparsity: { qkv: 0.5, o: 0, gateUp: 0.25, down: 0.5 } });
    for (const { name, value } of model.parameters) if (name.endsWith('router')) value.data.fill(0);
    const engine = engineOf(model);
    const sequence = single(engine);
    sequence.prefill(idsOf(6));
    sequence.decode(3);
    const { statistics } = engine;
    // Routers that say nothing send every token to the first two.
    expect(statistics.expertLoad()).toEqual([0, 1].map(() => [0.5, 0.5, 0, 0]));
    expect(statistics.sparsity()).toEqual({ qkv: [0.5, 0.5], o: [0, 0], gateUp: [0.25, 0.25], down: [0.5, 0.5] });
    const [qkv, o, gateUp, down] = [32 * 64, 32 * 32, 2 * 32 * 160, 2 * 80 * 32];
    const zeros = 0.5 * qkv + 0.25 * gateUp + 0.5 * down;
    expect(statistics.modelSparsity()).toBeCloseTo(zeros / (qkv + o + gateUp + down), 12);
    const perLayer = 4 * (0.5 * qkv + o + 0.75 * gateUp + 0.5 * down + 4 * 32 + 2 * 32); // with router and norms
    expect(statistics.weightBytesPerToken(engine.weights)).toBe(2 * perLayer + 4 * (32 + 50 * 32 + 32));
    statistics.clear();
    sequence.decode(1);
    expect(statistics.expertLoad()[1]).toEqual([0.5, 0.5, 0, 0]);
  });
});

describe('statistics', () => {
  it('counts what was selected, and open gates', () => {
    const engine = engineOf(modelOf({ sparsity: { qkv: 0.5, o: 0.25, gateUp: 0, down: 0 } }));
    const sequence = single(engine);
    sequence.prefill(idsOf(10));
    sequence.decode(3);
    expect(engine.statistics.tokens).toBe(11);
    const { qkv, o, gateUp, down } = engine.statistics.sparsity();
    expect(qkv).toEqual([0.5, 0.5]);
    expect(o).toEqual([0.25, 0.25]);
    expect(gateUp).toEqual([0, 0]);
    for (const zeros of down) {
      expect(zeros).toBeGreaterThan(0.2); // about half of the gates of random weights are closed
      expect(zeros).toBeLessThan(0.8);
    }
    engine.statistics.clear();
    expect(engine.statistics.tokens).toBe(0);
  });

  it('counts closed channels among the selected as zeros', () => {
    const natural = engineOf(modelOf({}));
    const selected = engineOf(modelOf({ sparsity: { down: 0.1 } })); // keeps 72: more than are open
    single(natural).prefill(idsOf(10));
    single(selected).prefill(idsOf(10));
    expect(selected.statistics.sparsity().down).toEqual(natural.statistics.sparsity().down);
  });

  it('weights points by the parameters that they skip', () => {
    const engine = engineOf(modelOf({ activation: 'silu', sparsity: { qkv: 0.5, o: 0, gateUp: 0, down: 0 } }));
    single(engine).prefill([1, 2]);
    const total = 32 * 64 + 32 * 32 + 32 * 160 + 80 * 32;
    expect(engine.statistics.modelSparsity()).toBeCloseTo((0.5 * 32 * 64) / total, 12);
  });

  it('counts the channels of up that were computed, where up is stored by channel', () => {
    const model = modelOf({ sparsity: { gateUp: 0.5 } });
    const [fused, channels] = [engineOf(model), engineWith(model, { type: 'f32', layout: 'channels' })];
    single(fused).prefill(idsOf(10));
    single(channels).prefill(idsOf(10));
    const [one, other] = [fused.statistics.projections(), channels.statistics.projections()];
    expect(one.up).toEqual(one.gate);
    expect(other.gate).toEqual(one.gate);
    expect(other.down).toEqual(one.down);
    // Half of the inputs, at the open channels: those that down does not skip.
    other.up.forEach((zeros, layer) => {
      expect(zeros).toBeCloseTo(1 - 0.5 * (1 - one.down[layer]), 12);
    });
    expect(channels.statistics.modelSparsity()).toBeGreaterThan(fused.statistics.modelSparsity());
  });

  it('says how many bytes a token reads', () => {
    const sparsity = { qkv: 0.5, o: 0.25, gateUp: 0.5, down: 0.75 };
    const model = modelOf({ activation: 'silu', sparsity, tiedEmbeddings: false });
    const norms = 4 * 32 * 5;
    for (const [type, bytes, tables] of [
      ['f32', (weights: number) => 4 * weights, 51 * 32 * 4],
      // A scale for each of 64, 32, 160 and 32 columns in each layer, and for each row of the head.
      ['int8', (weights: number) => weights, 51 * 32 + 4 * 50 + 2 * 4 * 288],
    ] as const) {
      const engine = engineWith(model, { type });
      single(engine).prefill(idsOf(6));
      const rows = 2 * (16 * 64 + 24 * 32 + 16 * 160 + 20 * 32);
      expect(engine.statistics.weightBytesPerToken(engine.weights)).toBe(bytes(rows) + tables + norms);
    }
  });
});
