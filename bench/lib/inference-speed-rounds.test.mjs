/** Rounds on numbers by hand: medians, ratios inside a round, what must be in every round. */

import { expect, it } from 'vitest';
import { mergeRounds } from './inference-speed-rounds.mjs';

const row = (sparsity, tokensPerSecond, fields = {}) => ({
  dtype: 'int8',
  sparsity,
  closedGates: null,
  batch: 1,
  tokensPerSecond,
  spread: 0.1,
  ...fields,
});
const round = (rows, theirs = [], peakProcessBytes = 1) => ({
  ours: { machine: { cpu: 'A' }, commit: 'abc', peakProcessBytes, rows },
  theirs: theirs.map(([batch, tokensPerSecond]) => ({ type: 'Q8_0', batch, tokensPerSecond, build: 'b1' })),
});

it('a ratio is the median of those inside the rounds, not that of the medians', () => {
  // The machine halves its speed from round to round; ours over theirs is 3, 2, 4 while the medians are 30 and 10 or 15.
  const merged = mergeRounds([
    round([row(0, 30), row(0.6, 60)], [[1, 20]], 5),
    round([row(0, 15), row(0.6, 30)], [[1, 15]], 7),
    round([row(0, 9), row(0.6, 20)], [[1, 5]], 6),
  ]);
  const [dense, sparse] = merged.rows;
  expect(sparse).toMatchObject({ sparsity: 0.6, tokensPerSecond: 30, rates: [60, 30, 20], over: { Q8_0: 3 } });
  expect(dense.over.Q8_0).toBeCloseTo(1.5);
  expect(sparse.roundSpread).toBeCloseTo(40 / 30);
  expect(sparse.spread).toBe(0.1);
  expect(merged.peers).toEqual([
    { type: 'Q8_0', batch: 1, build: 'b1', rates: [20, 15, 5], tokensPerSecond: 15, spread: 1 },
  ]);
  expect(merged).toMatchObject({ machine: { cpu: 'A' }, commit: 'abc', peakProcessBytes: 7 });
});

it('a batch is compared with the same batch', () => {
  const rows = [row(0.6, 60), row(0.6, 100, { batch: 8 })];
  const theirs = [
    [1, 20],
    [8, 25],
  ];
  const merged = mergeRounds([round(rows, theirs)]);
  expect(merged.rows.map(({ over }) => over.Q8_0)).toEqual([3, 4]);
});

it('a variant that is not in every round once is an error', () => {
  const wanted = /dtype int8, sparsity 0.6, batch 1 once in each round, got it 0 times/;
  expect(() => mergeRounds([round([row(0.6, 1)]), round([row(0.5, 1)])])).toThrow(wanted);
  expect(() => mergeRounds([round([row(0.6, 1), row(0.6, 2)])])).toThrow(/got it 2 times/);
});

it('rows of kernels have times for rates', () => {
  const rounds = [2, 4, 5].map((ms) => round([{ dtype: 'int8', way: 'matvec', msPerCall: ms, spread: 0 }]));
  const [merged] = mergeRounds(rounds).rows;
  expect(merged).toMatchObject({ msPerCall: 4, rates: [500, 250, 200], over: {} });
  const [selected] = mergeRounds([round([{ dim: 64, kept: 26, batch: 256, nsPerToken: 500, spread: 0 }])]).rows;
  expect(selected.rates).toEqual([2e6]);
});
