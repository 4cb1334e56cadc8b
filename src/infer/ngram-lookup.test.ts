import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { continuation, findNgram, MAX_MATCH } from './ngram-lookup.ts';

describe('findNgram', () => {
  it('finds the longest end that occurred before, the latest of equals', () => {
    expect(findNgram([7, 1, 2, 9, 1, 2, 8, 1, 2])).toEqual({ length: 2, next: 6 });
    expect(findNgram([7, 1, 2, 9, 3, 2, 8, 7, 1, 2])).toEqual({ length: 3, next: 3 });
    expect(findNgram([5, 5])).toEqual({ length: 1, next: 1 });
    expect(findNgram([1, 2, 3]).length).toBe(0);
    expect(findNgram([1]).length).toBe(0);
    expect(findNgram([]).length).toBe(0);
  });

  it('is what trying all ends gives, longest first', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { maxLength: 30 }), (ids) => {
        let expected = { length: 0, next: 0 };
        for (let length = Math.min(MAX_MATCH, ids.length - 1); length > 0 && expected.length === 0; length--) {
          for (let next = ids.length - 1; next >= length && expected.length === 0; next--) {
            if (ids.slice(next - length, next).join() === ids.slice(-length).join()) expected = { length, next };
          }
        }
        expect(findNgram(ids)).toEqual(expected);
      }),
    );
  });
});

it('a continuation goes on with itself where the text ends', () => {
  expect(continuation([1, 2, 3, 4], 1, 2)).toEqual([2, 3]);
  expect(continuation([1, 2, 3, 4], 2, 5)).toEqual([3, 4, 3, 4, 3]);
  expect(continuation([9], 0, 3)).toEqual([9, 9, 9]);
});
