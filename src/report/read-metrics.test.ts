import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { parseMetrics } from './parse-metrics.ts';
import { readRun } from './read-metrics.ts';

const step = (n: number, loss: number): string =>
  JSON.stringify({ type: 'step', step: n, tokens: n * 100, seconds: n, loss });
const run = (n: number): string => JSON.stringify({ type: 'run', step: n, name: 'a' });
const lossesOf = (text: string): unknown[] =>
  parseMetrics(text, 'm.jsonl').flatMap((record) => (record.type === 'step' ? [[record.step, record.loss]] : []));

describe('parseMetrics', () => {
  it('reads records in order and skips types and fields that it does not know', () => {
    const text = [run(0), step(1, 3), '{"type":"future","anything":[]}', '', step(2, 2)].join('\n');
    expect(parseMetrics(text, 'm.jsonl').map(({ type }) => type)).toEqual(['run', 'step', 'step']);
  });

  it('leaves out a last line that was cut off, at any byte', () => {
    const whole = `${run(0)}\n${step(1, 3)}\n`;
    const last = step(2, 2);
    for (let length = 0; length < last.length; length++) {
      expect(lossesOf(whole + last.slice(0, length))).toEqual([[1, 3]]);
    }
    expect(lossesOf(whole + last)).toEqual([
      [1, 3],
      [2, 2],
    ]);
  });

  it('lets a resumed part take the place of what was written beyond its step', () => {
    const text = [run(0), step(1, 3), step(2, 2.5), step(3, 2), step(4, 1.9), run(2), step(3, 2.2)].join('\n');
    expect(lossesOf(text)).toEqual([
      [1, 3],
      [2, 2.5],
      [3, 2.2],
    ]);
  });

  it('lets a later record of a step override without a run record', () => {
    expect(lossesOf([step(1, 3), step(1, 2)].join('\n'))).toEqual([[1, 2]]);
  });

  it('keeps samples of one step apart by their prompt', () => {
    const sample = (prompt: string): string => JSON.stringify({ type: 'sample', step: 1, prompt, text: '' });
    expect(parseMetrics([sample('a'), sample('b')].join('\n'), 'm')).toHaveLength(2);
  });

  it.each([
    ['not JSON', '{"type":', 'm.jsonl:2 is not JSON'],
    ['not an object', '17', 'm.jsonl:2 is not a record'],
    ['null', 'null', 'm.jsonl:2 is not a record'],
    ['without a type', '{}', 'm.jsonl:2 is not a record'],
    ['without a step', '{"type":"detail"}', 'm.jsonl:2: step must be a number, got undefined'],
    ['without a time', '{"type":"step","step":1,"tokens":1}', 'm.jsonl:2: seconds must be a number, got undefined'],
  ])('names file and line of one that is %s', (_, line, message) => {
    const read = (): unknown => parseMetrics(`${run(0)}\n${line}\n${step(1, 3)}\n`, 'm.jsonl');
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
  });
});

describe('readRun', () => {
  it('reads a directory or the file in it, and names the run after the directory', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'qsparse-metrics-'));
    try {
      await writeFile(join(directory, 'metrics.jsonl'), `${run(0)}\n`);
      const fromDirectory = await readRun(`${directory}/`);
      expect(fromDirectory.records).toHaveLength(1);
      expect(directory.endsWith(fromDirectory.name)).toBe(true);
      expect(await readRun(join(directory, 'metrics.jsonl'))).toEqual(fromDirectory);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('says what to give where there is nothing', async () => {
    await expect(readRun('no/such/run')).rejects.toThrow(/cannot read no\/such\/run.*Give the directory/);
  });
});
