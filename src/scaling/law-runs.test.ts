import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvField } from '../util/csv-field.ts';
import { FormatError } from '../util/errors.ts';
import { csvRecords } from '../util/parse-csv.ts';
import { readLawRuns } from './law-runs.ts';

describe('csvField', () => {
  it('writes what parseCsv reads again', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 5 }), (table) => {
        const text = ['a,b', ...table.map((row) => row.map(csvField).join(','))].join('\n');
        expect(
          csvRecords(text, 'runs.csv')
            .slice(1)
            .map(({ fields }) => fields),
        ).toEqual(table);
      }),
    );
  });
});

describe('readLawRuns', () => {
  it('takes the columns that it needs, in any order, N and D in millions', () => {
    const text = 'loss,seed,format,sparsity,parameters,tokens,zeros\n3.5,0,ternary,0.5,2e6,1000000,0.52\n';
    expect(readLawRuns(text, 'runs.csv')).toEqual([
      { size: 2, sparsity: 0.5, loss: 3.5, format: 'ternary', tokens: 1 },
    ]);
    expect(readLawRuns(text, 'runs.csv', 'zeros')[0]).toMatchObject({ sparsity: 0.52, asked: 0.5 });
    expect(readLawRuns('parameters,sparsity,loss\n5e5,0,4\n', 'runs.csv')).toEqual([
      { size: 0.5, sparsity: 0, loss: 4, format: 'float' },
    ]);
  });

  const refused = (text: string) => () => readLawRuns(text, 'runs.csv');
  const HEADER = 'parameters,sparsity,loss,format\n';

  it('names line, column, what is expected and what was found', () => {
    expect(refused(`${HEADER}1e6,0.5,3,float\n1e6,1.5,3,float\n`)).toThrow(
      '[runs] runs.csv: line 3, column 2 ("sparsity"): expected a share from 0 to 0.99, got "1.5".',
    );
    for (const loss of ['0', '-1', 'NaN', 'Infinity', '0x10', '']) {
      expect(refused(`${HEADER}1e6,0.5,${loss},float\n`)).toThrow(
        /line 2, column 3 \("loss"\): expected a number above 0/,
      );
    }
    expect(refused(`${HEADER}1e6,0.5,3,<b>\n`)).toThrow(/line 2, column 4 \("format"\): expected a name such as float/);
  });

  it('names the column that is missing, and one that looks like it', () => {
    expect(refused('parameter,sparsity,loss\n')).toThrow(
      'expected a column "parameters", got "parameter", "sparsity", "loss". Is it "parameter"?',
    );
    expect(refused(HEADER)).toThrow('expected a line for each run, got none.');
  });

  it('answers any text with runs or a FormatError', () => {
    const pieces = fc.constantFrom(
      'parameters,sparsity,loss\n',
      '1',
      ',',
      '"',
      '\n',
      '\r',
      '0.5',
      'loss',
      ' ',
      '\uFEFF',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        try {
          for (const { size, loss } of readLawRuns(parts.join(''), 'runs.csv')) expect(size * loss).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });

  it('refuses a file without names, and one that names a column twice', () => {
    expect(refused('')).toThrow('expected a line with the names of the columns, got an empty file.');
    expect(refused('loss,parameters,sparsity,loss\n1,1,0,1\n')).toThrow(
      'line 1: expected one column "loss", got several.',
    );
    expect(refused(`${HEADER}1e6,0.5\n`)).toThrow('[csv] runs.csv:2: expected 4 fields as in its first record, got 2.');
  });
});
