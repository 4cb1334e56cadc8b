import { expect, it } from 'vitest';
import { curveOf, qualityOf } from './run-curves.mjs';

const step = (i, loss) => ({ type: 'step', step: i, tokens: 10 * i, seconds: i / 2, loss });
const records = [
  { type: 'run', step: 0, model: { hiddenL1: 0.003, dim: 64 } },
  ...Array.from({ length: 300 }, (_, i) => step(i + 1, 600 - i)),
  { type: 'validation', step: 200, tokens: 2000, seconds: 100, loss: 4 },
  { type: 'detail', step: 250, sparsity: { down: [0.5, 0.9] }, deadChannels: [0.25, 0.75] },
  { type: 'detail', step: 300, sparsity: { down: [0.9, 0.95] }, deadChannels: [0.1, 0.3] },
  { type: 'validation', step: 300, tokens: 3000, seconds: 150, loss: 4.5 },
];

it('a curve is smoothed over twenty steps and thinned, its end kept', () => {
  const { points, validation } = curveOf(records);
  expect(points.length).toBeGreaterThan(80);
  expect(points.length).toBeLessThanOrEqual(121);
  // The losses fall by 1 a step: the mean of the last 20 is 9.5 above the last.
  expect(points.at(-1)).toEqual({ tokens: 3000, seconds: 150, loss: 310.5 });
  expect(validation).toEqual([
    { tokens: 2000, seconds: 100, loss: 4 },
    { tokens: 3000, seconds: 150, loss: 4.5 },
  ]);
});

it('quality is that of the end: last validation, best validation, mean over the layers', () => {
  expect(qualityOf(records)).toMatchObject({
    hiddenL1: 0.003,
    steps: 300,
    tokens: 3000,
    trainLoss: 325.5, // of the last 50 steps
    validationLoss: 4.5,
    bestValidationLoss: 4,
  });
  expect(qualityOf(records).downZeros).toBeCloseTo(0.925);
  expect(qualityOf(records).deadChannels).toBeCloseTo(0.2);
  expect(qualityOf(records.slice(0, 5))).toMatchObject({ validationLoss: null, downZeros: null, deadChannels: null });
});
