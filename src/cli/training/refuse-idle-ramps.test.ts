import { describe, expect, it } from 'vitest';
import { preset, resolveConfig } from '../../index.ts';
import { refuseIdleRamps } from './refuse-idle-ramps.ts';

const model = (more: object) => resolveConfig({ ...preset('tiny'), ...more });

describe('refuseIdleRamps', () => {
  it.each([
    ['dense', { sparsity: 0 }, '--sparsity-ramp', { sparsityRamp: 10 }],
    ['ReLUs', { sparsifier: 'relu', activation: 'relu' }, '--sparsity-ramp', { sparsityRamp: 10 }],
    ['no L1 term', { sparsity: 0.5 }, '--hidden-l1-ramp', { hiddenL1Ramp: 10 }],
  ])('refuses one that has nothing to grow: %s', (_name, more, option, ramps) => {
    expect(() => refuseIdleRamps(ramps, model(more))).toThrow(`[${option}] there is no`);
    expect(() => refuseIdleRamps({}, model(more))).not.toThrow();
  });

  it('takes those that have', () => {
    const thresholds = { qkv: 0.1 };
    for (const more of [{ sparsity: { down: 0.5 } }, { sparsifier: 'threshold', thresholds }]) {
      expect(() => refuseIdleRamps({ sparsityRamp: 10 }, model(more))).not.toThrow();
    }
    expect(() => refuseIdleRamps({ hiddenL1Ramp: 10 }, model({ hiddenL1: 1e-4 }))).not.toThrow();
  });
});
