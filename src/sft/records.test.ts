import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError, UsageError } from '../util/errors.ts';
import { recordsOf } from './records.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-sft-'));
afterAll(() => rmSync(directory, { recursive: true }));

const BOUND = 2 ** 23;

function records(content: string | Buffer, bound = BOUND) {
  const path = join(directory, 'data.json');
  writeFileSync(path, content);
  return [...recordsOf(path, bound)].map(({ line, bytes, length }) => [line, bytes?.toString().trim() ?? null, length]);
}

describe('lines', () => {
  it('are passed over without being kept where they are long, here 10 MB', () => {
    const content = `{"prompt":"a","completion":"b"}\n${'x'.repeat(1e7)}\n\n{"prompt":"c","completion":"d"}`;
    expect(records(content)).toEqual([
      [1, '{"prompt":"a","completion":"b"}', 31],
      [2, null, 1e7],
      [3, '', 0],
      [4, '{"prompt":"c","completion":"d"}', 31],
    ]);
  });
});

describe('a file that is one list', () => {
  it('is divided into its elements, each with the line that it begins in', () => {
    const list = '\ufeff\n [\n  {\n    "a": "],[{\\"",\n    "b": [1, {}]\n  },\n\n  {"c": 2}, 3 ]\n\n';
    expect(records(list).map(([line, text]) => [line, JSON.parse(String(text))])).toEqual([
      [3, { a: '],[{"', b: [1, {}] }],
      [8, { c: 2 }],
      [8, 3],
    ]);
    expect(records('[]')).toEqual([]);
  });

  it('keeps no element that is longer than the bound', () => {
    const list = JSON.stringify([{ a: 1 }, 'x'.repeat(3e6), { b: 2 }]);
    expect(records(list, 1000)).toEqual([
      [1, '{"a":1}', 7],
      [1, null, 3e6 + 2],
      [1, '{"b":2}', 7],
    ]);
  });

  it.each([
    ['has no end', '[\n{"a": 1},\n', 'line 3: expected "]" at the end of the list'],
    ['ends within an element', '[\n{"a": 1},\n{"b": "]', 'line 3: expected "]" at the end of the list'],
    ['has something behind it', '[{"a": 1}]\n[2]', 'line 2: expected nothing behind the list'],
    ['lacks an element', '[{"a": 1},\n, 3]', 'line 2: expected an element of the list in front of the comma'],
  ])('%s', (_name, content, message) => {
    expect(() => records(content)).toThrow(FormatError);
    expect(() => records(content)).toThrow(message);
  });

  it('gives what is no JSON to who parses it', () => {
    expect(records('[}}, {"a" 1}, 2, ]').map(([, text]) => text)).toEqual(['}}', '{"a" 1}', '2']);
  });
});

it('says which file cannot be read, and what to do with one that is compressed', () => {
  expect(() => [...recordsOf(join(directory, 'none'), 10)]).toThrow(UsageError);
  expect(() => [...recordsOf(directory, 10)]).toThrow('cannot be read');
  expect(() => records(Buffer.from([0x1f, 0x8b, 8, 0]))).toThrow(
    /data\.json: expected JSON lines or a JSON list, found gzip\. Unpack it first/,
  );
  expect(() => records('PAR1...')).toThrow('found Parquet. Write it as JSON lines first.');
});
