import { expect, it } from 'vitest';
import { fillHeadOrder } from './head-order.ts';

it('lists the queries of all tokens, their keys, their values, and the way back', () => {
  // Two tokens of two query heads and one key/value head: rows 0 1 | 2 | 3 and 4 5 | 6 | 7.
  const [order, back] = [new Int32Array(8), new Int32Array(8)];
  fillHeadOrder(2, { nHeads: 2, nKvHeads: 1 }, order, back);
  expect([...order]).toEqual([0, 1, 4, 5, 2, 6, 3, 7]);
  expect([...back]).toEqual([0, 1, 4, 6, 2, 3, 5, 7]);
});
