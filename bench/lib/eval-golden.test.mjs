import { describe, expect, it } from 'vitest';
import { compareItems, compareMeans } from './eval-golden.mjs';

const golden = [
  { i: 0, ll: [-1, -2], greedy: [1, 0], sha256: 'a', acc: 1 },
  { i: 1, ll: [-3, -3.001], greedy: [0, 0], sha256: 'b', acc: 1, acc_norm: 0 },
];
const saved = [
  { sha256: 'b', ll: [-3.002, -3.001], greedy: [0, 0], metrics: { acc: 0, acc_norm: 0 } },
  { sha256: 'a', ll: [-1, -2.005], greedy: [1, 0], metrics: { acc: 1 } },
];

describe('compareItems', () => {
  it('explains a metric that differs by a close call', () => {
    const { differing, ...rest } = compareItems(golden, saved);
    expect(rest).toEqual({
      items: 2,
      missing: 0,
      largestNats: expect.closeTo(0.005, 9),
      greedyDiffers: 0,
      isRight: true,
    });
    expect(differing).toEqual([{ item: 1, metric: 'acc', expected: 1, got: 0, lead: expect.closeTo(0.001, 9) }]);
  });

  it('refuses what is missing, too far off, or wrong without a close call', () => {
    expect(compareItems(golden, saved.slice(1))).toMatchObject({ missing: 1, isRight: false });
    const far = [saved[0], { ...saved[1], ll: [-1.02, -2] }];
    expect(compareItems(golden, far)).toMatchObject({ isRight: false });
    const wrong = [saved[0], { ...saved[1], metrics: { acc: 0 } }];
    expect(compareItems(golden, wrong)).toMatchObject({ isRight: false });
    const greedy = [saved[0], { ...saved[1], greedy: [0, 0] }];
    expect(compareItems(golden, greedy)).toMatchObject({ greedyDiffers: 1, isRight: true });
  });
});

it('compareMeans has the bounds of the reference', () => {
  const rows = [0, 0.5, 0.6].map((sparsity) => ({ sparsity, meanNats: 3 }));
  const at = (...nats) => rows.map(({ sparsity }, i) => ({ sparsity, perplexity: { natsPerToken: nats[i] } }));
  expect(compareMeans(rows, at(3.0001, 3.019, 2.961)).map(({ isRight }) => isRight)).toEqual([true, true, true]);
  expect(compareMeans(rows, at(3.001, 3.03, 2.95)).map(({ isRight }) => isRight)).toEqual([false, false, false]);
  expect(compareMeans(rows, []).map(({ isRight }) => isRight)).toEqual([false, false, false]);
});
