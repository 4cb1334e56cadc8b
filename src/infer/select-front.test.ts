import fc from 'fast-check';
import { expect, it } from 'vitest';
import { selectFront } from './select-front.ts';

/** Few distinct keys, so that ties are common. */
const keysArbitrary = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 80 });

function ranked(keys: readonly number[]): number[] {
  return keys.map((_, id) => id).sort((a, b) => keys[b] - keys[a] || a - b);
}

function front(keys: readonly number[], target: number, measure: 'count' | 'mass'): { set: number[]; all: number[] } {
  const ids = Int32Array.from(keys, (_, id) => (id * 7) % keys.length); // some order
  if (keys.length % 7 === 0) for (let id = 0; id < keys.length; id++) ids[id] = id;
  const count = selectFront(ids, ids.length, Float64Array.from(keys), target, measure);
  return { set: [...ids.subarray(0, count)].sort((a, b) => a - b), all: [...ids].sort((a, b) => a - b) };
}

it('by count: the beginning of a full sort, ties to the lower id', () => {
  const property = fc.property(keysArbitrary, fc.integer({ min: 1, max: 90 }), (keys, target) => {
    const { set, all } = front(keys, target, 'count');
    expect(set).toEqual(
      ranked(keys)
        .slice(0, target)
        .sort((a, b) => a - b),
    );
    expect(all).toEqual(keys.map((_, id) => id)); // nothing is lost
  });
  fc.assert(property, { numRuns: 300 });
});

it('by mass: the shortest beginning of a full sort that reaches it', () => {
  const property = fc.property(keysArbitrary, fc.integer({ min: 1, max: 300 }), (keys, target) => {
    const expected: number[] = [];
    let mass = 0;
    for (const id of ranked(keys)) {
      if (mass >= target) break;
      expected.push(id);
      mass += keys[id]; // whole numbers: sums are exact in any order
    }
    const { set } = front(keys, target, 'mass');
    expect(set).toEqual(expected.sort((a, b) => a - b));
  });
  fc.assert(property, { numRuns: 300 });
});

it('looks only at the ids it was given', () => {
  const ids = Int32Array.of(4, 2, 0, 3);
  const keys = Float64Array.of(1, 99, 3, 98, 2);
  expect(selectFront(ids, 3, keys, 2, 'count')).toBe(2);
  expect([...ids.subarray(0, 2)].sort()).toEqual([2, 4]);
  expect(ids[3]).toBe(3);
});

it('stays linear on sorted, reversed, equal and saw-toothed keys', () => {
  const count = 100_000; // quadratic would be minutes
  for (const keyOf of [(i: number) => i, (i: number) => -i, () => 1, (i: number) => i % 100]) {
    const [keys, ids] = [new Float64Array(count), new Int32Array(count)];
    for (let i = 0; i < count; i++) [keys[i], ids[i]] = [keyOf(i), i];
    expect(selectFront(ids, count, keys, 1000, 'count')).toBe(1000);
  }
});
