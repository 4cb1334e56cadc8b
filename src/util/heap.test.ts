import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from './heap.ts';

describe('Heap', () => {
  it('gives back what went in, sorted, also between pushes', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer(), { freq: 3 })), (operations) => {
        const heap = new Heap<number>((a, b) => a < b);
        const model: number[] = [];
        for (const item of operations) {
          if (item === null) {
            expect(heap.pop()).toBe(model.shift());
          } else {
            heap.push(item);
            model.push(item);
            model.sort((a, b) => a - b);
          }
          expect(heap.size).toBe(model.length);
        }
      }),
    );
  });
});
