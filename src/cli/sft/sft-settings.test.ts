import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../model/resolve-config.ts';
import { loadRecipe } from '../../train/recipes.ts';
import type { SftOptions } from './sft-options.ts';
import { sftSettings, stepsOf } from './sft-settings.ts';

const dense = resolveConfig({ dim: 32, nLayers: 2, nHeads: 2, vocabSize: 50, seqLen: 64, activation: 'silu' });
const options = (more: Partial<SftOptions> = {}) => ({ out: 'run', resume: false, ...more }) as SftOptions;
const [sparse, plain, adapted] = await Promise.all(
  ['sparse', 'dense', 'adapted'].map((name) => loadRecipe(`fine-tuning/${name}`)),
);

describe('sftSettings', () => {
  it('leaves the model as it is without a recipe', () => {
    const { model, train } = sftSettings(dense, options(), {});
    expect(model).toEqual(dense);
    expect(train).toMatchObject({ lr: 2e-5, weightDecay: 0, batchSize: 4, seqLen: 64, loraRank: 0 });
  });

  it('takes sparsity and training of a recipe, and options over it', () => {
    const { model, train } = sftSettings(dense, options({ lr: 1e-4 }), sparse);
    expect(model).toMatchObject({ sparsifier: 'topk', sparsity: { qkv: 0.4, o: 0.4, gateUp: 0.4, down: 0.6 } });
    expect(train).toMatchObject({ lr: 1e-4, optimizerState: 'int8', recompute: true });
    const from = { ...dense, sparsity: { qkv: 0.5, o: 0.5, gateUp: 0.5, down: 0.5 } };
    expect(sftSettings(from, options(), plain).model).toMatchObject({
      sparsifier: 'none',
      sparsity: { qkv: 0, o: 0, gateUp: 0, down: 0 },
    });
    expect(sftSettings(dense, options(), adapted).train).toMatchObject({ loraRank: 8, lr: 2e-4 });
  });

  it('refuses a share of replayed data', () => {
    expect(() => sftSettings(dense, options(), { train: { replayShare: 0.1 } })).toThrow(
      /^\[sft\] replayShare must be 0 outside of qsparse continue, got 0\.1\./,
    );
  });

  it('refuses options of adapters and blocks where there are none', () => {
    expect(() => sftSettings(dense, options({ loraAlpha: 4 }), {})).toThrow(/^\[--lora-alpha\] is for adapters/);
    expect(() => sftSettings(dense, options({ loraPoints: 'qkv' }), {})).toThrow(/^\[--lora-points\] is for adapters/);
    expect(sftSettings(dense, options({ loraAlpha: 4 }), adapted).train.loraAlpha).toBe(4);
    expect(() => sftSettings(dense, options({ blockSize: 16 }), sparse)).toThrow(/^\[--block-size\] is for/);
  });

  it('refuses a recipe of another shape', () => {
    expect(() => sftSettings(dense, options(), { model: { dim: 64 } })).toThrow(/dim is that of the model/);
  });
});

describe('stepsOf', () => {
  const { train } = sftSettings(dense, options(), {});

  it('is an epoch, unless recipe or options give the length', () => {
    expect(stepsOf(options(), {}, 41, train)).toBe(11);
    expect(stepsOf(options({ epochs: 2 }), {}, 41, train)).toBe(21);
    expect(stepsOf(options({ steps: 5 }), {}, 41, train)).toBeUndefined();
    expect(stepsOf(options(), { train: { tokens: 1000 } }, 41, train)).toBeUndefined();
    expect(stepsOf(options({ epochs: 2 }), { train: { steps: 7 } }, 41, train)).toBe(21);
    expect(() => stepsOf(options({ epochs: 2, steps: 5 }), {}, 41, train)).toThrow(/both say how long the run is/);
  });
});
