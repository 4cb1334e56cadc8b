import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Kernels } from '../backend.ts';
import { StepClock } from './step-clock.ts';

/** A clock that only work moves: the machine's load does not show in the test. */
let now = 0;
const busy = (ms: number) => {
  now += ms;
};

describe('StepClock', () => {
  beforeEach(() => {
    vi.spyOn(performance, 'now').mockImplementation(() => now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

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
    const parts = clock.parts({ forwardMs: 100, backwardMs: 200, teacherMs: 30 });
    expect(parts).toEqual({ data: 1, teacher: 30, select: 12, forward: 92, backward: 196, optimizer: 0 });
  });

  it('starts at 0 again', () => {
    const clock = new StepClock(table);
    clock.measure('optimizer', () => busy(1));
    clock.begin();
    const parts = clock.parts({ forwardMs: 0, backwardMs: 0, teacherMs: 0 });
    expect(parts).toEqual({ data: 0, select: 0, forward: 0, backward: 0, optimizer: 0 });
  });
});
