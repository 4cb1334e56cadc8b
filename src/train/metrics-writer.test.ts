import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import type { SampleRecord } from './metrics.ts';
import { MetricsWriter } from './metrics-writer.ts';

const sample = (step: number): SampleRecord => ({ type: 'sample', step, prompt: '', text: `text\n${step}` });

describe('MetricsWriter', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-metrics-'));
    path = join(folder, 'metrics.jsonl');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const steps = () =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { step: number }).step);

  function writeSteps(from: number, to: number, resumeStep: number): void {
    const writer = MetricsWriter.open(path, resumeStep);
    for (let step = from; step <= to; step++) writer.write(sample(step));
    writer.close();
  }

  it('appends whole lines that are readable before it is closed', () => {
    const writer = MetricsWriter.open(path, 0);
    writer.write(sample(1));
    expect(steps()).toEqual([1]);
    writer.close();
  });

  it('cuts off what lies behind the resumed step', () => {
    writeSteps(1, 9, 0);
    writeSteps(6, 7, 5);
    expect(steps()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('resuming at the last step keeps every line', () => {
    writeSteps(1, 3, 0);
    writeSteps(4, 4, 3);
    expect(steps()).toEqual([1, 2, 3, 4]);
  });

  it('cuts off a line that a crash tore, with and without a line end', () => {
    writeSteps(1, 3, 0);
    appendFileSync(path, '{"type":"sample","st');
    writeSteps(4, 4, 3);
    appendFileSync(path, '\u0000\u0000\n');
    writeSteps(5, 5, 4);
    expect(steps()).toEqual([1, 2, 3, 4, 5]);
  });

  it('says in one line where it cannot write', () => {
    const missing = join(folder, 'none', 'metrics.jsonl');
    expect(() => MetricsWriter.open(missing, 0)).toThrow(FormatError);
    expect(() => MetricsWriter.open(missing, 0)).toThrow(/\[metrics\] cannot write .*none.*ENOENT/);
  });

  it('starts afresh at step 0', () => {
    writeSteps(1, 3, 0);
    writeSteps(1, 1, 0);
    expect(steps()).toEqual([1]);
  });
});
