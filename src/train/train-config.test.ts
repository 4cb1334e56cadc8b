import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { resolveTrainConfig, type TrainConfigInput } from './train-config.ts';

describe('resolveTrainConfig', () => {
  it('derives the floor of the rate, the warm-up and the steps', () => {
    const config = resolveTrainConfig({ lr: 2e-3, steps: 500 }, 64);
    expect(config.minLr).toBeCloseTo(2e-4, 12);
    expect(config.warmupSteps).toBe(50);
    expect(resolveTrainConfig({ steps: 100_000 }, 64).warmupSteps).toBe(200);
    expect(resolveTrainConfig({ tokens: 10_000, batchSize: 4, accumulate: 2 }, 64).steps).toBe(20);
  });

  it('keeps what is given, zeros included', () => {
    const config = resolveTrainConfig({ warmupSteps: 0, minLr: 0, weightDecay: 0, clip: 0, validateEvery: 0 }, 64);
    expect([config.warmupSteps, config.minLr, config.weightDecay, config.clip, config.validateEvery]).toEqual([
      0, 0, 0, 0, 0,
    ]);
  });

  it('accepts its own result, so that a saved configuration can be taken up again', () => {
    const config = resolveTrainConfig({ steps: 7, schedule: 'wsd' }, 64);
    expect(resolveTrainConfig(config, 64)).toEqual(config);
    const staged = resolveTrainConfig({ schedule: 'two-stage', lr: 3e-3 }, 64);
    expect([staged.minLr, staged.stageTwoLr, staged.stageTwoWeightDecay]).toEqual([0, 2e-3, 0]);
    expect(resolveTrainConfig(staged, 64)).toEqual(staged);
  });

  it.each<[object, RegExp]>([
    [{ logitPruning: 1 }, /logitPruning must be 0, or from 1e-12 to below 1, got 1/],
    [{ logitPruning: 1e-13 }, /logitPruning must be 0, or from 1e-12/],
    [{ batchsize: 3 }, /unknown field "batchsize".*Did you mean "batchSize"/],
    [{ steps: 0 }, /steps must be a whole number of at least 1, got 0/],
    [{ steps: 2.5 }, /steps/],
    [{ steps: 10, tokens: 10 }, /steps and tokens/],
    [{ tokens: Number.NaN }, /tokens/],
    [{ lr: Number.NaN }, /lr must be above 0, got NaN/],
    [{ lr: 1e-4, minLr: 1e-3 }, /minLr must not be above lr/],
    [{ beta2: 1 }, /beta2 must be in \[0, 1\)/],
    [{ schedule: 'linear' }, /schedule must be cosine, wsd or two-stage, got "linear"/],
    [{ schedule: 'wsd', stageTwoLr: 1e-3 }, /stageTwoLr belongs to the schedule two-stage, got wsd/],
    [{ stageTwoWeightDecay: 0 }, /stageTwoWeightDecay belongs to the schedule two-stage, got cosine/],
    [{ schedule: 'two-stage', stageTwoLr: 0 }, /stageTwoLr must be above 0, got 0/],
    [{ schedule: 'two-stage', stageTwoWeightDecay: -1 }, /stageTwoWeightDecay must be 0 or more, got -1/],
    [{ schedule: 'two-stage', stageTwoLr: 1e-4, minLr: 2e-4 }, /minLr must not be above stageTwoLr/],
    [{ decayShare: 0 }, /decayShare/],
    [{ seed: -1 }, /seed/],
  ])('refuses %j', (input, message) => {
    expect(() => resolveTrainConfig(input as TrainConfigInput, 64)).toThrow(UsageError);
    expect(() => resolveTrainConfig(input as TrainConfigInput, 64)).toThrow(message);
  });

  it('says all that is wrong at once, without what only follows from it', () => {
    const input = { batchSize: 0, lr: -1, tokens: 5000, scedule: 'wsd', clip: -1 } as TrainConfigInput;
    expect(() => resolveTrainConfig(input, 64)).toThrow(
      '[train] 4 problems: (1) unknown field "scedule". Did you mean "schedule"? (2) batchSize must be a whole number of ' +
        'at least 1, got 0. (3) lr must be above 0, got -1. (4) clip must be 0 or more, got -1.',
    );
  });
});
