import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError, UsageError } from '../../util/errors.ts';
import type { EvalRecord } from '../evaluate.ts';
import { RecordsFile } from './records-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'qsparse-records-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MODEL = { path: 'runs/a', step: 7 };
const record = (item: number, changes: Partial<EvalRecord> = {}): EvalRecord => ({
  task: 't',
  sparsity: null,
  item,
  sha256: 'ab',
  ll: [-1.5],
  ...changes,
});
let files = 0;
const newPath = () => join(folder, `${files++}`, 'records.jsonl');

function written(path: string, ...records: EvalRecord[]): void {
  const file = new RecordsFile(path, MODEL);
  for (const one of records) file.add(one);
  file.close();
}

describe('RecordsFile', () => {
  it('finds what was saved, by task, sparsity, item and hash', () => {
    const path = newPath();
    written(path, record(0), record(1, { sparsity: 0.5 }));
    const file = new RecordsFile(path, MODEL);
    expect(file.find(record(0))).toEqual(record(0));
    expect(file.find(record(1, { sparsity: 0.5 }))?.sparsity).toBe(0.5);
    const others = [record(1), record(0, { sha256: 'cd' }), record(0, { task: 'u' }), record(0, { sparsity: 0 })];
    expect(others.map((key) => file.find(key))).toEqual(others.map(() => undefined));
    file.add(record(2));
    file.close();
    expect(readFileSync(path, 'utf8').trim().split('\n').length).toBe(4);
  });

  it('cuts off what a killed process left half written, and only that', () => {
    const path = newPath();
    written(path, record(0), record(1));
    const whole = readFileSync(path, 'utf8');
    for (const cut of [1, 10, 40]) {
      writeFileSync(path, whole.slice(0, -cut));
      written(path, record(1));
      expect(readFileSync(path, 'utf8')).toBe(whole);
    }
    writeFileSync(path, whole.slice(0, 9)); // in the middle of the first line
    written(path, record(0), record(1));
    expect(readFileSync(path, 'utf8')).toBe(whole);
    writeFileSync(path, '');
    written(path, record(0), record(1));
    expect(readFileSync(path, 'utf8')).toBe(whole);
  });

  it('refuses a file of another model and one that is none, and leaves it as it is', () => {
    const path = newPath();
    written(path, record(0));
    const other = () => new RecordsFile(path, { ...MODEL, step: 8, weights: 'ab' });
    expect(other).toThrow(UsageError);
    expect(other).toThrow(/belongs to another model: step: expected 8, found 7; weights: expected "ab", found none\. /);
    const refusals: [string, RegExp][] = [
      ['my notes', /line 1 is no JSON object/],
      ['my notes\n', /line 1 is no JSON object/],
      ['{"a":1}\n', /its first line is not that of saved evaluations/],
      [
        '{"qsparse-eval":1,"model":{"path":"runs/a","step":7}}\n',
        /it is of version 1, which says nothing of the weights/,
      ],
      ['{"qsparse-eval":3}\n', /expected version 2, got 3/],
      [`${readFileSync(path, 'utf8')}{}\n`, /line 3 is no record/],
      [`${readFileSync(path, 'utf8')}{"task":\n{}\n`, /line 3 is no JSON object/],
    ];
    for (const [content, message] of refusals) {
      writeFileSync(path, content);
      expect(() => new RecordsFile(path, MODEL)).toThrow(message);
      expect(() => new RecordsFile(path, MODEL)).toThrow(FormatError);
      expect(readFileSync(path, 'utf8')).toBe(content);
    }
  });
});
