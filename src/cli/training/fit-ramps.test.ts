import { describe, expect, it } from 'vitest';
import { resolveTrainConfig, type TrainConfigInput } from '../../train/train-config.ts';
import { fitRamps } from './fit-ramps.ts';

const resolved = (input: TrainConfigInput) => resolveTrainConfig(input, 64);
const RAMPS = { warmupSteps: 200, sparsityRampSteps: 300, hiddenL1RampSteps: 20 };

describe('ramps of a new run', () => {
  it('are as they were given where they end within it', () => {
    const train = resolved({ ...RAMPS, steps: 400 });
    expect(fitRamps(train, {})).toEqual(train);
    expect(fitRamps(train, { warmupSteps: 200 })).toEqual(train);
    expect(fitRamps(resolved({ steps: 1 }), { steps: 1 }).warmupSteps).toBe(0);
  });

  it('of a recipe take at most half of another length', () => {
    const fitted = { warmupSteps: 50, sparsityRampSteps: 50, hiddenL1RampSteps: 20 };
    expect(fitRamps(resolved({ ...RAMPS, steps: 100 }), { steps: 100 })).toMatchObject(fitted);
    expect(fitRamps(resolved({ ...RAMPS, tokens: 100 * 8 * 64 }), { tokens: 100 * 8 * 64 })).toMatchObject(fitted);
  });

  it.each<[TrainConfigInput, RegExp]>([
    [{ warmupSteps: 100 }, /^\[--warmup\] must end within the run: expected fewer than its 100 steps, got 100\./],
    [{ sparsityRampSteps: 101 }, /^\[--sparsity-ramp\] must end/],
    [{ hiddenL1RampSteps: 500 }, /^\[--hidden-l1-ramp\] must end/],
  ])('are refused where an option asks for too much: %j', (ramps, message) => {
    const options = { steps: 100, ...ramps };
    expect(() => fitRamps(resolved(options), options)).toThrow(message);
  });

  it('are refused where a recipe makes them longer than itself', () => {
    expect(() => fitRamps(resolved({ steps: 100, warmupSteps: 200 }), {})).toThrow(/^\[warmupSteps\] must end/);
  });
});

describe('ramps of a run that goes on', () => {
  // As runs were begun before ramps had to end within them.
  const saved = resolved({ steps: 100, warmupSteps: 200 });

  it('stay, unless the run is made shorter', () => {
    expect(fitRamps(saved, {}, saved)).toEqual(saved);
    expect(fitRamps({ ...saved, steps: 150 }, { steps: 150 }, saved).warmupSteps).toBe(200);
    expect(fitRamps({ ...saved, steps: 80 }, { steps: 80 }, saved).warmupSteps).toBe(40);
  });

  it('are refused where an option makes them too long', () => {
    expect(() => fitRamps({ ...saved, warmupSteps: 120 }, { warmupSteps: 120 }, saved)).toThrow(/\[--warmup\]/);
    expect(() => fitRamps({ ...saved, steps: 90 }, { steps: 90, warmupSteps: 200 }, saved)).toThrow(/\[--warmup\]/);
  });
});
