import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type ModelConfigInput, resolveConfig } from '../../model/resolve-config.ts';
import type { Recipe } from '../../train/recipes.ts';
import { addContinueOptions, type ContinueOptions } from './continue-options.ts';
import { continueSettings, wantedOf } from './continue-settings.ts';

const SHAPE = { dim: 64, hiddenDim: 96, nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: 300, seqLen: 2048 };
/** As models of other programs come in: dense, behind SiLU. */
const DENSE = { ...SHAPE, activation: 'silu', ropeTheta: 100_000, tiedEmbeddings: false } as const;

function parse(args: readonly string[]): ContinueOptions {
  const command = addContinueOptions(new Command('continue').exitOverride().configureOutput({ writeErr: () => {} }));
  command.parse(['--out', 'run', ...args], { from: 'user' });
  return command.opts<ContinueOptions>();
}

function settings(args: readonly string[] = [], from: ModelConfigInput = DENSE, recipe: Recipe = {}) {
  return continueSettings(resolveConfig(from), parse(args), recipe);
}

describe('settings of a continued model', () => {
  it('are its own, with the zeros of the conversions in the paper and its SiLU', () => {
    const sparsity = { qkv: 0.4, o: 0.4, gateUp: 0.4, down: 0.6 };
    expect(settings().model).toEqual(resolveConfig({ ...DENSE, sparsifier: 'topk', sparsity }));
    const relu = settings([], { ...DENSE, activation: 'relu2' }).model;
    expect(relu.sparsity).toEqual({ ...sparsity, down: 0 });
  });

  it('are dense with a sparsity of 0, and by point what is given', () => {
    expect(settings(['--sparsity', '0']).model).toEqual(resolveConfig(DENSE));
    expect(settings(['--sparsity', 'qkv=0.3,down=0.7']).model.sparsity).toEqual({
      qkv: 0.3,
      o: 0,
      gateUp: 0,
      down: 0.7,
    });
    expect(settings(['--sparsity', '16:32']).model).toMatchObject({ sparsifier: 'block', sparsity: { qkv: 0.5 } });
  });

  it('pass over what an earlier stage has seen', () => {
    expect(settings(['--skip-tokens', '5000']).train.skipTokens).toBe(5000);
    expect(settings([]).train.skipTokens).toBe(0);
  });

  it('leave a sparse model as it is, unless another sparsifier is asked for', () => {
    const sparse = {
      ...DENSE,
      sparsity: { qkv: 0.5, o: 0.1, gateUp: 0.2, down: [0.3, 0.4] },
      gradient: 'masked',
    } as const;
    expect(settings([], sparse).model).toEqual(resolveConfig(sparse));
    expect(settings(['--sparsifier', 'none'], sparse).model).toEqual(resolveConfig({ ...DENSE, sparsifier: 'none' }));
    const teal = { ...DENSE, sparsifier: 'threshold', thresholds: { qkv: 0.1 } } as const;
    expect(settings([], teal).model).toEqual(resolveConfig(teal));
    expect(settings(['--sparsifier', 'topk'], teal).model).toMatchObject({
      thresholds: { qkv: 0 },
      sparsity: { o: 0.4 },
    });
  });

  it('ReLUs take the place of the SiLU, and their gradient is theirs', () => {
    const none = { qkv: 0, o: 0, gateUp: 0, down: 0 };
    const relu = { activation: 'relu', gradient: 'masked', sparsity: none };
    expect(settings(['--sparsifier', 'relu']).model).toMatchObject({ sparsifier: 'relu', ...relu });
    expect(settings(['--sparsifier', 'norm-relu']).model).toMatchObject({ sparsifier: 'norm-relu', ...relu });
    expect(settings(['--sparsifier', 'drelu']).model).toMatchObject({ sparsifier: 'drelu', ...relu });
    expect(settings(['--sparsifier', 'relu'], { ...DENSE, activation: 'relu2' }).model.activation).toBe('relu2');
    expect(settings(['--sparsifier', 'none', '--activation', 'relu']).model).toMatchObject({ activation: 'relu' });
    expect(() => settings(['--sparsifier', 'relu', '--activation', 'silu'])).toThrow(
      /activation must be relu or relu2/,
    );
  });

  it('train with the rates of the paper, on sequences shorter than the context', () => {
    const { model, train } = settings(['--tokens', '20_480']);
    expect(model.seqLen).toBe(2048);
    expect(train).toMatchObject({ seqLen: 512, batchSize: 4, steps: 10, warmupSteps: 1 });
    expect(train).toMatchObject({ lr: 5e-5, minLr: 1e-6, weightDecay: 0.01, clip: 2 });
    expect(settings(['--lr', '2e-4', '--seq-len', '64']).train).toMatchObject({ lr: 2e-4, minLr: 2e-5, seqLen: 64 });
    expect(settings([], { ...DENSE, seqLen: 128 }).train.seqLen).toBe(128);
    expect(() => settings(['--seq-len', '4096'])).toThrow(/seqLen must not be above the context .* 2048, got 4096/);
  });

  it('refuse options of what is not there, and a warm-up that does not end', () => {
    expect(() => settings(['--distill-temperature', '2'])).toThrow(/^\[--distill-temperature\] is for --distill/);
    const recipe: Recipe = { train: { distill: 0.5, warmupSteps: 40 } };
    expect(settings(['--distill-temperature', '2', '--steps', '20'], DENSE, recipe).train).toMatchObject({
      ...{ distillTemperature: 2, warmupSteps: 10 },
    });
    expect(() => settings(['--block-size', '16'])).toThrow(/^\[--block-size\] is for --sparsifier block, got topk/);
    expect(() => settings(['--steps', '20', '--warmup', '20'])).toThrow(/^\[--warmup\] must end within the run/);
  });

  it('options override the recipe, which has no shape', () => {
    const recipe: Recipe = { model: { sparsity: 0.2, rescale: 'l2' }, train: { steps: 7, lr: 1e-3 } };
    expect(settings(['--lr', '2e-3'], DENSE, recipe)).toMatchObject({
      model: { rescale: { o: 'l2' }, sparsity: { qkv: 0.2, down: 0.2 } },
      train: { steps: 7, lr: 2e-3 },
    });
    expect(settings(['--tokens', '20_480'], DENSE, recipe).train.steps).toBe(10);
    expect(() => settings([], DENSE, { model: { dim: 128 } })).toThrow(/^\[--recipe\] dim is that of the model/);
    expect(() => settings([], DENSE, { preset: 'tiny' })).toThrow(/^\[--recipe\] preset is that of the model/);
  });

  it('replay a tenth by default, where neither options nor recipe nor the run that goes on say another share', () => {
    const share = (args: string[], recipeShare?: number, savedShare?: number) => {
      const train = recipeShare === undefined ? {} : { replayShare: recipeShare };
      return wantedOf(parse(args), { train }, savedShare).train.replayShare;
    };
    const replay = ['--replay', 'other.txt'];
    expect(share(replay)).toBe(0.1);
    expect(share(replay, 0.3)).toBe(0.3);
    expect(share([...replay, '--replay-share', '0.2'], 0.3)).toBe(0.2);
    expect(share(replay, undefined, 0.25)).toBeUndefined();
    expect(share([])).toBeUndefined();
  });
});
