import { describe, expect, it } from 'vitest';
import type { Kernels } from '../backend.ts';
import { StepClock } from './step-clock.ts';

function busy(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('StepClock', () => {
  const table = {
    selectTopK: () => busy(4),
    gatherNonZeros: () => busy(2),
    transposeRows: () => busy(3),
    softmaxCrossEntropy: () => busy(1),
  } as unknown as Kernels;

  it('takes the selection out of the pass that contains it; transposing belongs to the backward pass', () => {
    const clock = new StepClock(table);
    const kernels = clock.kernels as unknown as Record<keyof Kernels, () => void>;
    clock.begin();
    clock.measure('data', () => busy(1));
    for (const _ of [1, 2]) {
      clock.pass(() => {
        kernels.selectTopK();
        kernels.softmaxCrossEntropy();
        kernels.gatherNonZeros();
        kernels.transposeRows();
      });
    }
    const parts = clock.parts({ forwardMs: 100, backwardMs: 200 });
    expect(parts.data).toBeGreaterThanOrEqual(1);
    expect(parts.optimizer).toBe(0);
    expect(100 - parts.forward).toBeGreaterThanOrEqual(8);
    expect(100 - parts.forward).toBeLessThan(11);
    expect(200 - parts.backward).toBeGreaterThanOrEqual(4);
    expect(200 - parts.backward).toBeLessThan(6);
    expect(parts.select).toBeCloseTo(300 - parts.forward - parts.backward, 9);
  });

  it('starts at 0 again', () => {
    const clock = new StepClock(table);
    clock.measure('optimizer', () => busy(1));
    clock.begin();
    const parts = clock.parts({ forwardMs: 0, backwardMs: 0 });
    expect(parts).toEqual({ data: 0, select: 0, forward: 0, backward: 0, optimizer: 0 });
  });
});
