import { describe, expect, it } from 'vitest';
import { engineOf, engineWith, idsOf, modelOf } from '../../test/support/engine-fixture.ts';
import type { ModelConfigInput } from '../model/resolve-config.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import type { Engine } from './engine.ts';

const KINDS: [name: string, config: Partial<ModelConfigInput>, layout: 'fused' | 'channels'][] = [
  ['top-K behind SiLU', { activation: 'silu', sparsity: { qkv: 0.5, o: 0.25, gateUp: 0.5, down: 0.75 } }, 'fused'],
  ['natural zeros', { sparsity: { gateUp: 0.25 } }, 'fused'],
  ['natural zeros and top-K', { sparsity: { down: 0.75 } }, 'fused'],
  ['up by channel', { sparsity: { gateUp: 0.5, down: 0.6 } }, 'channels'],
  ['a mixture', { nExperts: 4, nExpertsPerToken: 2, sparsity: { qkv: 0.5, gateUp: 0.25, down: 0.5 } }, 'fused'],
  ['thresholds', { sparsifier: 'threshold', thresholds: { qkv: 0.5, o: 0.1, gateUp: 0.6, down: 0 } }, 'fused'],
];

/** Runs texts of several lengths at once, two of them at another sparsity, so that their rows change places. */
function runBatch(engine: Engine, overrides: readonly (SparsityOverride | undefined)[]) {
  const batch = overrides.map((sparsity, i) => ({
    sequence: engine.createSequence(sparsity === undefined ? {} : { sparsity }),
    ids: idsOf(2 + i, 3 * i),
    logits: 'last' as const,
  }));
  engine.run(batch);
  return batch;
}

describe('RowWeights', () => {
  it('counts by hand what a selection leaves', () => {
    const sparsity = { qkv: 0.5, o: 0.25, gateUp: 0.5, down: 0.75 };
    const engine = engineOf(modelOf({ activation: 'silu', sparsity }), { maxSequences: 2 });
    runBatch(engine, [undefined, 0]);
    const [qkv, o, gateUp, down] = [32 * 64, 32 * 32, 32 * 160, 80 * 32];
    const kept = (0.5 * qkv + 0.75 * o + 0.5 * gateUp + 0.25 * down) / (qkv + o + gateUp + down);
    for (const share of engine.weightUse.ofToken(0, 1)) expect(share).toBeCloseTo(kept, 12);
    expect(engine.weightUse.ofToken(1, 2)).toEqual([1, 1]);
    expect(engine.weightUse.ofItem(0)).toBeCloseTo(kept, 12);
  });

  it.each(KINDS)('adds up to the statistics of all tokens: %s', (_, config, layout) => {
    const model = modelOf(config);
    const overrides =
      config.sparsifier === 'threshold' ? [undefined, undefined, undefined] : [undefined, 0.5, undefined, 0.25];
    const options = { maxSequences: overrides.length };
    const engine = layout === 'fused' ? engineOf(model, options) : engineWith(model, { type: 'f32', layout }, options);
    const batch = runBatch(engine, overrides);
    const tokens = batch.reduce((sum, { ids }) => sum + ids.length, 0);
    const used = batch.reduce((sum, { ids }, item) => sum + ids.length * engine.weightUse.ofItem(item), 0) / tokens;
    expect(used).toBeCloseTo(1 - engine.statistics.modelSparsity(), 10);
    const byToken = batch.flatMap(({ ids }, item) => ids.flatMap((_, token) => engine.weightUse.ofToken(item, token)));
    expect(byToken.reduce((sum, share) => sum + share, 0) / byToken.length).toBeCloseTo(used, 10);
  });

  it.each(KINDS)('tells each token the same alone and in a batch: %s', (_, config) => {
    const model = modelOf(config);
    const together = engineOf(model, { maxSequences: 3 });
    const batch = runBatch(together, [undefined, undefined, undefined]);
    for (const [item, { ids }] of batch.entries()) {
      const alone = engineOf(model);
      alone.run([{ sequence: alone.createSequence(), ids, logits: 'last' }]);
      for (const token of ids.keys()) {
        const wanted = alone.weightUse.ofToken(0, token);
        together.weightUse.ofToken(item, token).forEach((share, layer) => {
          expect(share).toBeCloseTo(wanted[layer], 12);
        });
      }
    }
  });
});
