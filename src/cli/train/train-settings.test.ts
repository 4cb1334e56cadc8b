import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { keptCount } from '../../model/config.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import { loadRecipe, type Recipe } from '../../train/recipes.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import { resolveTrainConfig } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import { parseSparsity } from '../training/method-options.ts';
import { addTrainOptions, type TrainCommandOptions } from './train-options.ts';
import { newSettings, resumedSettings } from './train-settings.ts';

/** As the command line would parse them. */
function parse(...args: string[]): TrainCommandOptions {
  const command = addTrainOptions(new Command('train').exitOverride().configureOutput({ writeErr: () => {} }));
  command.parse(['--out', 'run', ...args], { from: 'user' });
  return command.opts<TrainCommandOptions>();
}

const settings = (args: string[], recipe: Recipe = {}) => newSettings(parse(...args), recipe);

describe('settings of a new run', () => {
  it('are sparse by default; --sparsity 0 gives the dense twin of the same shape', () => {
    const sparse = settings([]);
    const dense = settings(['--sparsity', '0']);
    expect(sparse.model.sparsity).toEqual({ qkv: 0.6, o: 0.6, gateUp: 0.6, down: 0 });
    expect([sparse.model.hiddenL1, dense.model.hiddenL1]).toEqual([3e-4, 0]);
    expect(dense.model).toEqual({ ...sparse.model, sparsity: { qkv: 0, o: 0, gateUp: 0, down: 0 }, hiddenL1: 0 });
    expect(dense.train).toEqual(sparse.train);
    expect(settings(['--activation', 'silu']).model).toMatchObject({ hiddenL1: 0, sparsity: { down: 0.6 } });
  });

  it('have no share by default where the sparsifier takes none', () => {
    const { model } = settings(['--sparsifier', 'drelu']);
    expect(model).toMatchObject({ sparsifier: 'drelu', activation: 'relu', gradient: 'masked', hiddenL1: 0 });
    expect(model.sparsity).toEqual({ qkv: 0, o: 0, gateUp: 0, down: 0 });
    expect(() => settings(['--sparsifier', 'relu', '--sparsity', '0.5'])).toThrow(
      /sparsity\.qkv must be 0 with .* relu/,
    );
    expect(() => settings(['--sparsifier', 'relus'])).toThrow(/Did you mean "relu"/);
  });

  it('options override the recipe, the recipe the preset', () => {
    const recipe: Recipe = { preset: 'd512-l8', model: { nLayers: 3, seqLen: 128 }, train: { lr: 5e-3, steps: 7 } };
    const { model, train } = settings(['--seq-len', '64', '--lr', '2e-3'], recipe);
    expect(model).toMatchObject({ dim: 512, hiddenDim: 1408, nLayers: 3, seqLen: 64 });
    expect(train).toMatchObject({ lr: 2e-3, steps: 7 });
    expect(settings(['--preset', 'tiny'], recipe).model).toMatchObject({ dim: 64, nLayers: 2, seqLen: 64 });
  });

  it('--tokens replaces the steps of a recipe', () => {
    const recipe: Recipe = { train: { steps: 7, batchSize: 2 } };
    expect(settings(['--tokens', '10_240', '--seq-len', '256'], recipe).train.steps).toBe(20);
  });

  it('another width or other heads are derived again, not kept from the preset', () => {
    expect(settings(['--dim', '128']).model).toMatchObject({ hiddenDim: 352, nHeads: 4, headDim: 32 });
    expect(settings(['--preset', 'tiny', '--heads', '8']).model).toMatchObject({ nKvHeads: 8, headDim: 8 });
    expect(() => settings(['--dim', '128', '--heads', '3'])).toThrow(/nHeads must divide dim: got dim 128, nHeads 3/);
    expect(() => settings(['--sparsity', 'qkv=0.5,qkv=0.6'])).toThrow(/qkv is given twice/);
    expect(settings(['--dim', '128', '--hidden-dim', '100']).model.hiddenDim).toBe(100);
  });

  it('every option arrives', () => {
    const { model, train } = settings(
      `--kv-heads 2 --layers 3 --vocab-size 300 --gradient masked --rescale l2 --hidden-l1 0.5 --batch-size 2 --accumulate 3
       --min-lr 1e-5 --warmup 4 --schedule wsd --weight-decay 0 --beta1 0.8 --beta2 0.9 --clip 0 --sparsity-ramp 9
       --validate-every 11 --validation-share 5% --save-every 12 --keep 3 --log-every 13 --detail-every 0
       --sample-every 0 --seed 14`.split(/\s+/),
    );
    expect(model).toMatchObject({
      nKvHeads: 2,
      nLayers: 3,
      vocabSize: 300,
      gradient: 'masked',
      rescale: { qkv: 'l2', o: 'l2', gateUp: 'l2', down: 'l2' },
      hiddenL1: 0.5,
    });
    expect(train).toMatchObject({
      batchSize: 2,
      accumulate: 3,
      minLr: 1e-5,
      warmupSteps: 4,
      schedule: 'wsd',
      weightDecay: 0,
      beta1: 0.8,
      beta2: 0.9,
      clip: 0,
      sparsityRampSteps: 9,
      validateEvery: 11,
      validationShare: 0.05,
      saveEvery: 12,
      keepLast: 3,
      logEvery: 13,
      detailEvery: 0,
      sampleEvery: 0,
      seed: 14,
    });
  });

  it('those of BitNet arrive too', () => {
    const { model, train } = settings(
      `--activation-format int8 --weight-format ternary --sub-norms --schedule two-stage --lr 1.8e-3 --stage-two-lr 1.5e-3
       --stage-two-weight-decay 0.01`.split(/\s+/),
    );
    expect(model).toMatchObject({ activationFormat: 'int8', weightFormat: 'ternary', subNorms: true });
    expect(train).toMatchObject({ schedule: 'two-stage', lr: 1.8e-3, stageTwoLr: 1.5e-3, stageTwoWeightDecay: 0.01 });
    expect(() => settings(['--stage-two-lr', '1e-3'])).toThrow(
      /stageTwoLr belongs to the schedule two-stage, got cosine/,
    );
    expect(() => parse('--weight-format', 'binary')).toThrow(/--weight-format/);
  });

  it('replay nothing: a share of a recipe is refused', () => {
    expect(() => settings([], { train: { replayShare: 0.1 } })).toThrow(
      /^\[train\] replayShare must be 0 outside of qsparse continue, got 0\.1\./,
    );
  });

  it('have no teacher and nothing to adapt: a recipe for a model that exists is refused', () => {
    expect(() => settings([], { train: { loraRank: 8 } })).toThrow(/loraRank must be 0 .* fresh weights, got 8/);
    expect(() => settings([], { train: { distill: 0.5 } })).toThrow(
      /distill must be 0 .*qsparse continue, qsparse sft/,
    );
  });

  it('warm-up and ramps end within the run', async () => {
    const recipe = await loadRecipe('d512-l8');
    expect(settings(['--steps', '100'], recipe).train.warmupSteps).toBe(50);
    expect(() => settings(['--steps', '100', '--warmup', '100'], recipe)).toThrow(/\[--warmup\].* 100 steps, got 100/);
  });

  it('--block-size is for blocks alone', () => {
    expect(() => settings(['--block-size', '16'])).toThrow(/^\[--block-size\] is for --sparsifier block, got topk/);
    const recipe: Recipe = { model: { sparsifier: 'block' } };
    expect(settings(['--block-size', '16'], recipe).model.blockSize).toBe(16);
  });

  it('wrong values are refused with the name', () => {
    expect(() => settings(['--preset', 'tinny'])).toThrow(/Did you mean "tiny"/);
    expect(() => settings(['--heads', '3'])).toThrow(UsageError);
    expect(() => parse('--schedule', 'cosin')).toThrow(/Did you mean "cosine"/);
    expect(() => parse('--lr', 'fast')).toThrow(/--lr.*"fast"/);
  });
});

describe('--sparsity', () => {
  it('is one share or shares by point', () => {
    expect(parseSparsity('60%')).toEqual({ shares: 0.6 });
    expect(parseSparsity('qkv=0.5, down=0')).toEqual({ shares: { qkv: 0.5, down: 0 } });
  });

  it('in blocks keeps exactly what it says, for every kept of every size', () => {
    expect(parseSparsity('16:32')).toEqual({ shares: 0.5, blockSize: 32 });
    for (let size = 2; size <= 256; size++) {
      for (let kept = 1; kept <= size; kept++) {
        const { shares } = parseSparsity(`${kept}:${size}`);
        expect(keptCount(shares as number, size)).toBe(kept);
      }
    }
  });

  it('in blocks says which sparsifier is meant', () => {
    const fields = { sparsifier: 'block', blockSize: 64, sparsity: { qkv: 0.75, o: 0.75, gateUp: 0.75, down: 0 } };
    expect(settings(['--sparsity', '16:64']).model).toMatchObject(fields);
    expect(settings(['--sparsity', '0.75', '--sparsifier', 'block', '--block-size', '64']).model).toMatchObject(fields);
    expect(() => settings(['--sparsity', '16:32', '--sparsifier', 'topk'])).toThrow(
      /KEPT:BLOCK is for --sparsifier block/,
    );
    expect(() => settings(['--sparsity', '16:32', '--block-size', '64'])).toThrow(
      /blocks of 32 against --block-size 64/,
    );
    expect(() => settings(['--sparsity', '3:7'])).toThrow(
      /blockSize must divide .*256 at qkv, 256 at o, 256 at gateUp/,
    );
  });

  it.each([
    '1',
    '0:32',
    '33:32',
    '16:',
    ':32',
    '1.5:3',
    'qkv=16:32',
    'qkv=1',
    'qkv',
    'qkv=',
    'qkv=0.5=0.6',
    '=0.5',
    '-0.1',
    'NaN',
    'qkv=0.5,',
  ])('refuses %s', (text) => {
    expect(() => parseSparsity(text)).toThrow(UsageError);
  });
});

describe('settings of a mixture of experts', () => {
  const recipe: Recipe = { preset: 'quickstart-moe', model: { routerLoadBalance: 0.01, sparsity: 0.5 } };

  it('come from preset, recipe and options; --experts 0 gives the dense model', () => {
    expect(settings([], recipe).model).toMatchObject({ nExperts: 8, nExpertsPerToken: 2, routerLoadBalance: 0.01 });
    const args = [
      '--experts',
      '4',
      '--experts-per-token',
      '1',
      '--router-load-balance',
      '0',
      '--router-z-loss',
      '0.001',
    ];
    expect(settings(args).model).toMatchObject({
      ...{ nExperts: 4, nExpertsPerToken: 1, routerLoadBalance: 0, routerZLoss: 0.001, hiddenDim: 704 },
    });
    expect(settings(['--experts', '0', '--hidden-dim', '704'], recipe).model).toEqual(
      settings(['--sparsity', '0.5', '--hidden-l1', '3e-4']).model,
    );
    expect(() => settings(['--experts', '2', '--experts-per-token', '3'])).toThrow(
      /nExpertsPerToken .* 1 to nExperts 2, got 3/,
    );
  });
});

describe('settings of a resumed run', () => {
  const model = resolveConfig({ dim: 64, nLayers: 2, nHeads: 4, vocabSize: 300, sparsity: 0.5 });
  const train = resolveTrainConfig({ steps: 100, lr: 2e-3 }, model.seqLen);
  const saved: RunSettings = { model, train, text: { paths: ['a.txt'], field: 'text' } };
  const resume = (args: string[], recipe: Recipe = {}) =>
    resumedSettings(saved, parse(...args), recipe, 'run/run.json');

  it('are those of the run where nothing is given', () => {
    expect(resume([])).toEqual(saved);
  });

  it('made shorter, the run has a shorter warm-up', () => {
    expect(resume(['--steps', '16']).train).toEqual({ ...train, steps: 16, warmupSteps: 8 });
    expect(() => resume(['--warmup', '100'])).toThrow(/\[--warmup\] must end within the run/);
  });

  it('steps, rates and intervals may change; the rest stays', () => {
    expect(resume(['--steps', '200', '--clip', '0.5', '--log-every', '5']).train).toEqual({
      ...train,
      steps: 200,
      clip: 0.5,
      logEvery: 5,
    });
    expect(resume(['--tokens', String(8 * 256 * 30)]).train.steps).toBe(30);
  });

  it('another schedule takes its own second stage', () => {
    const staged = resolveTrainConfig({ steps: 100, schedule: 'two-stage' }, model.seqLen);
    const resumeStaged = (...args: string[]) =>
      resumedSettings({ ...saved, train: staged }, parse(...args), {}, 'run/run.json').train;
    expect(resumeStaged('--stage-two-lr', '1e-4').stageTwoLr).toBe(1e-4);
    expect(resumeStaged('--schedule', 'two-stage')).toEqual(staged);
    // What followed from the rate follows it again, the same rate is the same run, and what was given stays.
    for (const lr of [1e-4, 3e-4, 6e-4, staged.lr]) {
      expect(resumeStaged('--lr', String(lr)).stageTwoLr).toBe((lr * 2) / 3);
    }
    expect(resumeStaged('--lr', '1e-4', '--stage-two-lr', '3e-5').stageTwoLr).toBe(3e-5);
    const given = { ...saved, train: { ...staged, stageTwoLr: 1.5e-4 } };
    expect(resumedSettings(given, parse('--lr', '1e-3'), {}, 'run/run.json').train.stageTwoLr).toBe(1.5e-4);
    expect(resumeStaged('--schedule', 'wsd')).toMatchObject({ schedule: 'wsd', stageTwoLr: null });
    expect(resume(['--schedule', 'two-stage']).train.stageTwoWeightDecay).toBe(0);
  });

  it('the same values again are fine', () => {
    expect(resume(['--dim', '64', '--sparsity', '0.5', '--batch-size', '8'])).toEqual(saved);
    expect(resume(['--sparsity', 'qkv=0.5'])).toEqual(saved);
  });

  it.each<[string[], RegExp]>([
    [['--dim', '128'], /dim cannot change inside a run: run\/run\.json has 64, got 128/],
    [['--sparsifier', 'relu'], /sparsifier cannot change .* has topk, got relu/],
    [['--sparsity', '16:32'], /sparsifier cannot change .* has topk, got block/],
    [['--sparsity', 'o=0.4'], /sparsity\.o .* has 0\.5, got 0\.4/],
    [['--hidden-l1', '0.1'], /hiddenL1/],
    [['--batch-size', '4'], /batchSize .* has 8, got 4/],
    [['--seed', '1'], /seed/],
    [['--experts', '2', '--experts-per-token', '1'], /nExperts .* has 0, got 2/],
    [['--preset', 'tiny'], /hiddenDim|nKvHeads/],
  ])('refuses %j', (args, message) => {
    expect(() => resume(args)).toThrow(UsageError);
    expect(() => resume(args)).toThrow(message);
  });

  it.each<[name: string, args: string]>([
    ['moe', '--experts 0 --hidden-dim 704'],
    ['quickstart', '--dim 128'],
    ['quickstart', '--tokens 20_480'],
    ['d512-l8', '--preset tiny --heads 8 --lr 3e-3'],
    ['ablations/topk50', '--sparsity 0.25 --batch-size 2'],
  ])('the command that began a run goes on with it: %s %s', async (name, args) => {
    const recipe = await loadRecipe(name);
    const options = parse(...args.split(' '));
    const begun = newSettings(options, recipe);
    // The text had fewer tokens than the recipe asks for.
    const run = { ...saved, ...begun, model: { ...begun.model, vocabSize: 256 } };
    expect(resumedSettings(run, options, recipe, 'run/run.json')).toEqual(run);
  });

  it('win over the recipe, options over them', () => {
    const recipe: Recipe = { train: { lr: 1e-3, steps: 50, batchSize: 4 } };
    expect(resume([], recipe).train).toEqual(train);
    expect(resume(['--lr', '1e-3', '--steps', '200'], recipe).train).toEqual({ ...train, lr: 1e-3, steps: 200 });
  });

  it('a recipe with another model is refused like an option', () => {
    expect(() => resume([], { model: { nLayers: 3 } })).toThrow(/nLayers .* has 2, got 3/);
  });
});
