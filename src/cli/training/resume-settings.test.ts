import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveConfig } from '../../model/resolve-config.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import { resolveTrainConfig, type TrainConfigInput } from '../../train/train-config.ts';
import { needsSource, resumedText } from './resume-settings.ts';

const model = resolveConfig({ dim: 64, nLayers: 2, nHeads: 4, vocabSize: 300 });
const settings = (train: TrainConfigInput): RunSettings => ({
  ...{ model, train: resolveTrainConfig(train, model.seqLen) },
  text: { paths: ['a.txt'], field: 'text' },
});

describe('needsSource', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-resume-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is true before the first checkpoint, also where writing it failed, and with a teacher', () => {
    const plain = settings({});
    expect(needsSource(plain, folder)).toBe(true);
    mkdirSync(join(folder, 'checkpoints', '.tmp-1-step-000010'), { recursive: true });
    expect(needsSource(plain, folder)).toBe(true);
    mkdirSync(join(folder, 'checkpoints', '.old-step-000010'));
    expect(needsSource(plain, folder)).toBe(false);
    expect(needsSource(settings({ distill: 0.5 }), folder)).toBe(true);
  });
});

describe('resumedText', () => {
  const saved = { paths: ['a.jsonl'], field: 'story' };

  it('is that of the run; other files are read by its field, unless another is named', () => {
    expect(resumedText(saved, {})).toEqual(saved);
    expect(resumedText(saved, { text: ['b.jsonl'] })).toEqual({ paths: ['b.jsonl'], field: 'story' });
    expect(resumedText(saved, { text: ['b.jsonl'], textField: 'body' })).toEqual({ paths: ['b.jsonl'], field: 'body' });
  });

  it('refuses a field without files', () => {
    expect(() => resumedText(saved, { textField: 'body' })).toThrow(/^\[--text-field\] is of the files of --text/);
  });
});
