/** The elements of a list that is a file against JSON.parse, whatever its blanks and wherever its blocks end. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { listElements } from '../../src/sft/list-elements.ts';
import '../support/fixed-seed.ts';

/** In blocks of these sizes, in turns, all in one buffer as a reader has them. */
function* blocksOf(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  const shared = Buffer.alloc(Math.max(...sizes));
  for (let [at, i] = [0, 0]; at < bytes.length; at += sizes[i++ % sizes.length]) {
    const block = bytes.subarray(at, at + sizes[i % sizes.length]);
    block.copy(shared);
    yield shared.subarray(0, block.length);
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });

it('are those of JSON.parse, and begin in their lines', () => {
  const indents = fc.constantFrom<string | undefined>(undefined, ' ', '\t');
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 6 }), indents, sizes, (list, indent, lengths) => {
      const text = JSON.stringify(list, null, indent);
      const found = [...listElements(blocksOf(Buffer.from(text), lengths), 2 ** 20, 'a')];
      const values = found.map(({ bytes }) => JSON.parse(bytes!.toString()));
      expect(values).toEqual(JSON.parse(text));
      const textLines = text.split('\n');
      for (const { line, bytes } of found) {
        const [begin] = bytes!.toString().trim().split('\n');
        expect(textLines[line - 1]).toContain(begin);
      }
    }),
    { numRuns: 500 },
  );
});

it('of damaged lists end, in elements or an error of one line', () => {
  const damaged = fc.tuple(fc.array(fc.jsonValue(), { maxLength: 4 }), fc.nat(), fc.string({ maxLength: 3 }));
  fc.assert(
    fc.property(damaged, sizes, ([list, place, put], lengths) => {
      const text = JSON.stringify(list);
      const at = 1 + (place % text.length);
      const bytes = Buffer.from(text.slice(0, at) + put + text.slice(at + 1));
      try {
        let total = 0;
        for (const { length } of listElements(blocksOf(bytes, lengths), 16, 'a')) total += length;
        expect(total).toBeLessThanOrEqual(bytes.length);
      } catch (error) {
        expect((error as Error).message).toMatch(/^\[sft\] a line \d+: expected [^\n]*$/);
      }
    }),
    { numRuns: 1000 },
  );
});
