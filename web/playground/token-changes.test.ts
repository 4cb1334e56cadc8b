import { describe, expect, it } from 'vitest';
import { tokenChanges } from './token-changes.ts';

const marks = (a: number[], b: number[]) => tokenChanges(a, b).map(Number).join('');

describe('tokenChanges', () => {
  it('marks what has no partner in order', () => {
    expect(marks([1, 2, 3], [1, 2, 3])).toBe('000');
    expect(marks([1, 9, 3], [1, 2, 3])).toBe('010');
    // A token more does not mark what follows.
    expect(marks([1, 7, 2, 3], [1, 2, 3])).toBe('0100');
    expect(marks([2, 3], [1, 2, 3])).toBe('00');
    expect(marks([3, 2, 1], [1, 2, 3]).replaceAll('1', '')).toHaveLength(1);
    expect(marks([], [1])).toBe('');
    expect(marks([1, 2], [])).toBe('11');
  });

  it('says nothing of what is not compared', () => {
    const long = Array.from({ length: 1500 }, (_, i) => i);
    expect(tokenChanges(long, long)).not.toContain(true);
    expect(tokenChanges(long, [-1]).lastIndexOf(true)).toBe(999);
  });

  it('leaves as many unmarked as the longest common subsequence has, whichever way round', () => {
    const a = Array.from({ length: 40 }, (_, i) => (i * 7) % 5);
    const b = Array.from({ length: 33 }, (_, i) => (i * i) % 5);
    const kept = (x: number[], y: number[]) => tokenChanges(x, y).filter((changed) => !changed).length;
    expect(kept(a, b)).toBe(longest(a, b));
    expect(kept(b, a)).toBe(longest(a, b));
  });
});

/** By the definition, with a table of prefixes. */
function longest(a: number[], b: number[]): number {
  const table = [new Array<number>(b.length + 1).fill(0)];
  for (const x of a) {
    const [above, row] = [table[table.length - 1], [0]];
    b.forEach((y, j) => {
      row.push(x === y ? above[j] + 1 : Math.max(above[j + 1], row[j]));
    });
    table.push(row);
  }
  return table[a.length][b.length];
}
