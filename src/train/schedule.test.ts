import { describe, expect, it } from 'vitest';
import { type LearningRateConfig, l1ScaleAt, learningRateAt, sparsityScaleAt, weightDecayAt } from './schedule.ts';

const base: LearningRateConfig = {
  lr: 1,
  minLr: 0.1,
  warmupSteps: 10,
  steps: 110,
  schedule: 'cosine',
  decayShare: 0.2,
  stageTwoLr: null,
};

describe('l1ScaleAt', () => {
  it('is half a wave up to the end of the ramp, then 1; 1 without a ramp', () => {
    expect([0, 25, 50, 100, 101].map((step) => l1ScaleAt(100, step))).toEqual([
      0,
      expect.closeTo(0.5 * (1 - Math.SQRT1_2), 12),
      expect.closeTo(0.5, 12),
      ...[1, 1],
    ]);
    expect(l1ScaleAt(0, 1)).toBe(1);
  });
});

describe('learningRateAt', () => {
  it('grows linearly to the peak and is not 0 at the first step', () => {
    expect(learningRateAt(base, 1)).toBeCloseTo(0.1, 12);
    expect(learningRateAt(base, 5)).toBeCloseTo(0.5, 12);
    expect(learningRateAt(base, 10)).toBe(1);
  });

  it('cosine: half way down at the middle, minLr at the last step and after', () => {
    expect(learningRateAt(base, 60)).toBeCloseTo(0.55, 12);
    expect(learningRateAt(base, 35)).toBeCloseTo(0.1 + 0.9 * 0.5 * (1 + Math.SQRT1_2), 12);
    expect(learningRateAt(base, 110)).toBe(0.1);
    expect(learningRateAt(base, 500)).toBe(0.1);
  });

  it('wsd: stays at the peak, then falls linearly over the last fifth', () => {
    const wsd: LearningRateConfig = { ...base, schedule: 'wsd', steps: 100 };
    expect(learningRateAt(wsd, 11)).toBe(1);
    expect(learningRateAt(wsd, 80)).toBe(1);
    expect(learningRateAt(wsd, 90)).toBeCloseTo(0.55, 12);
    expect(learningRateAt(wsd, 100)).toBe(0.1);
  });

  it('two stages: on a line to minLr, in the second half to the same end from another peak', () => {
    // BitNet b1.58 700M: 1.5e-3 falls to half of it, then 1e-3 / 2 to 0.
    const bitnet: LearningRateConfig = {
      ...{ lr: 1.5e-3, minLr: 0, warmupSteps: 0, steps: 100_000, schedule: 'two-stage', decayShare: 0.2 },
      stageTwoLr: 1e-3,
    };
    expect(learningRateAt(bitnet, 50_000)).toBeCloseTo(7.5e-4, 12);
    expect(learningRateAt(bitnet, 50_001)).toBeCloseTo(5e-4, 7);
    expect(learningRateAt(bitnet, 75_000)).toBeCloseTo(2.5e-4, 12);
    expect(learningRateAt(bitnet, 100_000)).toBe(0);
    const warm: LearningRateConfig = { ...base, schedule: 'two-stage', stageTwoLr: 0.4 };
    expect(learningRateAt(warm, 10)).toBe(1);
    expect(learningRateAt(warm, 35)).toBeCloseTo(0.1 + 0.9 * 0.75, 12);
    expect(learningRateAt(warm, 85)).toBeCloseTo(0.1 + 0.3 * 0.25, 12);
    expect(learningRateAt(warm, 110)).toBe(0.1);
  });

  it('without a warm-up the first step has the peak rate of its schedule', () => {
    expect(learningRateAt({ ...base, warmupSteps: 0, schedule: 'wsd' }, 1)).toBe(1);
  });

  it('a run of one step is defined', () => {
    expect(learningRateAt({ ...base, warmupSteps: 0, steps: 1 }, 1)).toBe(0.1);
  });
});

describe('weightDecayAt', () => {
  it('changes in the middle of a run of two stages, and never else', () => {
    const config = { steps: 11, schedule: 'two-stage', weightDecay: 0.1, stageTwoWeightDecay: 0 } as const;
    expect(weightDecayAt(config, 5)).toBe(0.1);
    expect(weightDecayAt(config, 6)).toBe(0);
    expect(weightDecayAt({ ...config, schedule: 'wsd', stageTwoWeightDecay: null }, 11)).toBe(0.1);
  });
});

describe('sparsityScaleAt', () => {
  it('is 1 without a ramp and grows linearly with one', () => {
    expect(sparsityScaleAt(0, 1)).toBe(1);
    expect(sparsityScaleAt(100, 1)).toBe(0.01);
    expect(sparsityScaleAt(100, 50)).toBe(0.5);
    expect(sparsityScaleAt(100, 100)).toBe(1);
    expect(sparsityScaleAt(100, 101)).toBe(1);
  });
});
