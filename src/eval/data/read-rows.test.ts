import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../util/errors.ts';
import { parseCsv } from '../../util/parse-csv.ts';
import { findData } from './find-data.ts';
import { readRows } from './read-rows.ts';
import { loadTask } from './task-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'qsparse-rows-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(name: string, content: string | Uint8Array, linesPerRow?: number) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return readRows(path, linesPerRow);
}

describe('parseCsv', () => {
  const rows = (text: string) => parseCsv(text, 'x.csv').map(({ row }) => Object.values(row));

  it('reads quotes, commas and line ends as RFC 4180 has them', () => {
    expect(rows('a,b\n1,2\r\n"x ""y"", z","p\nq"\n')).toEqual([
      ['1', '2'],
      ['x "y", z', 'p\nq'],
    ]);
    expect(rows('a,b\n\n"",\n')).toEqual([['', '']]);
    expect(rows('a,b\nit"s,"x"y')).toEqual([['it"s', 'xy']]); // as Python's csv module
    expect(rows('a,b')).toEqual([]);
    expect(rows('')).toEqual([]);
  });

  it('names the line where a record begins', () => {
    expect(() => rows('a,b\n"1\n2",3\n4\n')).toThrow('[csv] x.csv:4: expected 2 fields as in its first record, got 1.');
    expect(() => rows('a,b\n1,"2\n3')).toThrow('[csv] x.csv:2: a quote is not closed. Is the file complete?');
  });
});

describe('readRows', () => {
  it('reads JSON Lines and lists, with the name of the file', async () => {
    const rows = await read('law_test.jsonl', '\ufeff{"a": 1}\n\n{"a": "é"}\r\n');
    expect(rows.map(({ row }) => row)).toEqual([
      { file: 'law_test', a: 1 },
      { file: 'law_test', a: 'é' },
    ]);
    expect(rows[1].where).toMatch(/law_test\.jsonl:3$/);
    expect((await read('x.json', '[{"file": "own"}]')).map(({ row }) => row)).toEqual([{ file: 'own' }]);
  });

  it('reads CSV and groups of lines', async () => {
    expect((await read('x.csv', 'q,answer\n"a, b",2\n'))[0].row).toEqual({ file: 'x', q: 'a, b', answer: '2' });
    const groups = await read('x.txt', 'a\n\nb\n1\n', 2);
    expect(groups.map(({ row }) => row.lines)).toEqual([
      ['a', ''],
      ['b', '1'],
    ]);
  });

  it('says what is wrong, and where', async () => {
    await expect(read('bad.jsonl', '{"a":1}\n{"a":')).rejects.toThrow(/bad\.jsonl:2: is no JSON: /);
    await expect(read('bad.jsonl', '[1]')).rejects.toThrow(
      /bad\.jsonl:1: expected an object with the fields of a row, got \[1\]/,
    );
    await expect(read('bad.json', '{}')).rejects.toThrow(/expected a list of objects/);
    await expect(read('bad.txt', 'a\nb\nc\n', 2)).rejects.toThrow(/expected 2 lines for each row, got 3 lines/);
    await expect(read('bad.txt', 'a\n')).rejects.toThrow(/this task says nothing about \.txt files/);
    await expect(read('bad.zip', 'PK')).rejects.toThrow(/got \.zip\. Unpack archives first/);
    await expect(read('bad.jsonl', Uint8Array.of(0x22, 0xff, 0x22))).rejects.toThrow(/is no text in UTF-8/);
    await expect(readRows(join(folder, 'none.jsonl'))).rejects.toThrow(FormatError);
    await expect(read('bad.parquet', 'PAR1 and nothing more PAR1')).rejects.toThrow(
      /bad\.parquet is no Parquet file that can be read/,
    );
  });

  it.each(['none', 'snappy', 'zstd', 'gzip', 'brotli'])(
    'reads Parquet as pyarrow writes it: %s',
    async (compression) => {
      const path = fileURLToPath(
        new URL(`../../../test/golden/data/parquet/rows-${compression}.parquet`, import.meta.url),
      );
      const rows = await readRows(path);
      expect(rows.map(({ row }) => row)).toEqual([
        {
          file: `rows-${compression}`,
          id: 'q1',
          question: 'What shines?',
          choices: { text: ['sun', 'möon'], label: ['A', 'B'] },
          answerKey: 'A',
          label: 1,
          share: 0.5,
          note: null,
        },
        {
          file: `rows-${compression}`,
          id: 'q2',
          question: 'Say "hi",\nplease',
          choices: { text: ['😀', ''], label: ['1', '2'] },
          answerKey: '2',
          label: 0,
          share: -2,
          note: 'x',
        },
      ]);
    },
  );
});

describe('findData', () => {
  it('takes the first pattern that matches, all of its files, sorted', () => {
    const data = join(folder, 'data');
    mkdirSync(join(data, 'test'), { recursive: true });
    for (const name of ['b_test.csv', 'a_test.csv', 'a.test.csv', 'b_dev.csv'])
      writeFileSync(join(data, 'test', name), '');
    const found = (...patterns: string[]) =>
      findData(data, patterns, 'mmlu').map((path) => path.slice(data.length + 1));
    expect(found('mmlu.jsonl', 'test/*_test.csv', 'test/b_dev.csv')).toEqual(['test/a_test.csv', 'test/b_test.csv']);
    expect(findData(join(data, 'test', 'b_dev.csv'), [], 'mmlu')).toEqual([join(data, 'test', 'b_dev.csv')]);
    expect(() => found('x.jsonl', 'none/*.csv')).toThrow(
      /has no data of mmlu: expected one of x\.jsonl, none\/\*\.csv\. Name its file\./,
    );
    expect(() => findData(join(folder, 'none'), [], 'mmlu')).toThrow(/none does not exist/);
  });

  it('takes the files of several folders: BLiMP as the Hub has it, a folder of Parquet for each kind', () => {
    const data = join(folder, 'blimp');
    const paths = ['b_kind/train-00000-of-00001.parquet', 'a_kind/train-00000-of-00001.parquet', 'a_kind/test.parquet'];
    for (const path of [...paths, 'README.md', 'deeper/a_kind/train-0.parquet']) {
      mkdirSync(dirname(join(data, path)), { recursive: true });
      writeFileSync(join(data, path), '');
    }
    mkdirSync(join(data, 'c_kind', 'train-folder.parquet'), { recursive: true });
    expect(findData(data, loadTask('blimp').files, 'blimp')).toEqual(
      [paths[1], paths[0]].map((path) => join(data, path)),
    );
  });
});
