import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTable } from './table.ts';
import { widthOf } from './terminal.ts';

const ROWS = [
  { name: 'dense', speed: 1234.5, note: 'the plain model that everything is compared with' },
  { name: 'sparse', speed: 2.5, note: null },
];
const COLUMNS = [{ key: 'name' }, { key: 'speed', title: 'tokens/s' }, { key: 'note' }];

describe('formatTable', () => {
  it('aligns text to the left and numbers to the right', () => {
    expect(formatTable(ROWS, COLUMNS.slice(0, 2))).toEqual([
      'name    tokens/s',
      '──────  ────────',
      'dense      1,235',
      'sparse      2.50',
    ]);
  });

  it('gives up the end of the longest text to fit', () => {
    const lines = formatTable(ROWS, COLUMNS, 40);
    expect(Math.max(...lines.map(widthOf))).toBe(40);
    expect(lines[2]).toBe('dense      1,235  the plain model that …');
  });

  it('prints blocks where even that is not enough', () => {
    expect(formatTable(ROWS, COLUMNS, 12)).toEqual([
      'name      dense',
      'tokens/s  1,235',
      'note      the plain model that everything is compared with',
      '',
      'name      sparse',
      'tokens/s  2.50',
      'note',
    ]);
  });

  it('keeps a row on one line and prints nothing for no rows', () => {
    expect(formatTable([{ a: 'x\n\ny' }], [{ key: 'a' }])[2]).toBe('x y');
    expect(formatTable([], COLUMNS)).toEqual([]);
  });

  it('ends for any text and width', () => {
    const rows = fc.array(fc.record({ a: fc.string(), b: fc.double(), c: fc.string() }), { maxLength: 5 });
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 80 }), (table, width) => {
        const lines = formatTable(table, [{ key: 'a' }, { key: 'b' }, { key: 'c' }], width);
        expect(lines.every((line) => !line.includes('\n'))).toBe(true);
      }),
    );
  });
});
