import { describe, expect, it } from 'vitest';
import type { RopeScaling } from './config.ts';
import { ropeTables } from './rope-tables.ts';

/** Radians a token of each pair of features, out of the angle at position 1. */
function frequencies(ropeScaling: RopeScaling | null, headDim = 8, ropeTheta = 10000): number[] {
  const { cos, sin } = ropeTables({ headDim, ropeTheta, ropeScaling }, 2);
  return Array.from({ length: headDim / 2 }, (_, i) => Math.atan2(sin[headDim / 2 + i], cos[headDim / 2 + i]));
}

function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(got[i] / value, `pair ${i}`).toBeCloseTo(1, 12);
}

describe('ropeTables', () => {
  it('turns pair i by theta^(-2 i / headDim) a token', () => {
    expectClose(frequencies(null), [1, 0.1, 0.01, 0.001]);
    const { cos, sin } = ropeTables({ headDim: 8, ropeTheta: 10000, ropeScaling: null }, 4);
    expect([cos[3 * 4 + 1], sin[3 * 4 + 1]]).toEqual([Math.cos(3 * 0.1), Math.sin(3 * 0.1)]);
    expect([cos[0], sin[0]]).toEqual([1, 0]);
  });

  it('divides every frequency by a linear factor', () => {
    expectClose(frequencies({ type: 'linear', factor: 4 }), [0.25, 0.025, 0.0025, 0.00025]);
  });

  it('leaves fast pairs alone, slows slow ones, and goes from one to the other in between (Llama 3.1)', () => {
    // In 628.3 tokens the pairs turn 100, 10, 1 and 0.1 times.
    const originalSeqLen = 200 * Math.PI;
    const scaling = { type: 'llama3', factor: 8, lowFreqFactor: 0.5, highFreqFactor: 20.5, originalSeqLen } as const;
    // Pair 1: (10 - 0.5) / 20 = 0.475 of the way; pair 2: (1 - 0.5) / 20 = 0.025.
    const between = (share: number, frequency: number) => frequency * (share + (1 - share) / 8);
    expectClose(frequencies(scaling), [1, between(0.475, 0.1), between(0.025, 0.01), 0.001 / 8]);
  });
});
