import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import type { InitialParameters } from '../model/initial-parameters.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { FormatError } from '../util/errors.ts';
import { DivergenceError } from './divergence-error.ts';
import type { MetricsRecord } from './metrics.ts';
import { holdsCheckpoint, holdsRun, type RunSettings, readRunSettings, writeRunSettings } from './run-directory.ts';
import { resolveTrainConfig } from './train-config.ts';
import type { TrainingData } from './trainer.ts';
import { TrainingRun } from './training-run.ts';

const model = resolveConfig({ dim: 8, hiddenDim: 16, nLayers: 1, nHeads: 2, vocabSize: 7, seqLen: 4, sparsity: 0.5 });
const train = resolveTrainConfig({ steps: 6, batchSize: 2, validateEvery: 0, saveEvery: 2, detailEvery: 0 }, 4);
const SETTINGS: RunSettings = { model, train, text: { paths: ['text.txt'], field: 'text' } };

const DATA: TrainingData = {
  batch(index, _batchSize, _seqLen, ids, targets) {
    for (let i = 0; i < ids.length; i++) {
      ids[i] = (index + i) % 7;
      targets[i] = (index + i + 1) % 7;
    }
  },
  *validationBatches() {},
  validationTokens: 0,
  validationBytes: 0,
};

describe('TrainingRun', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'qsparse-run-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const open = (resume: boolean, settings = SETTINGS, initial?: InitialParameters) =>
    TrainingRun.open({
      directory,
      settings,
      resume,
      initial,
      data: DATA,
      backend: createReferenceBackend(),
      tokenizer: { model: 'none' },
      machine: 'test',
      version: '0',
    });

  const metrics = () =>
    readFileSync(join(directory, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as MetricsRecord);

  it('a breakdown names the last checkpoint, from which the run then goes on', async () => {
    const run = open(false);
    await run.run({ untilStep: 4 });
    run.trainer.model.parameters[1].value.data[0] = Number.NaN;
    const failure = run.run();
    await expect(failure).rejects.toThrow(DivergenceError);
    await expect(failure).rejects.toThrow(
      /^\[train\] step 5: .*layers\.0\.attentionNorm.*Last checkpoint: .*step-000004\.$/,
    );
    run.close();
    const resumed = open(true);
    expect(resumed.startStep).toBe(4);
    expect(await resumed.run()).toBe('done');
    resumed.close();
    expect(metrics().map(({ type, step }) => `${type} ${step}`)).toEqual([
      ...['run 0', 'step 1', 'step 2', 'step 3', 'step 4', 'run 4', 'step 5', 'step 6'],
    ]);
  });

  it('of BitNet: resumed in either stage it has the bits of the run that never stopped', async () => {
    const settings: RunSettings = {
      ...SETTINGS,
      model: { ...model, activationFormat: 'int8', weightFormat: 'ternary', subNorms: true },
      train: resolveTrainConfig({ ...train, accumulate: 2, schedule: 'two-stage', minLr: 0, warmupSteps: 1 }, 4),
    };
    const bits = (run: TrainingRun) => run.trainer.model.parameters.map(({ value }) => [...value.data]);
    const whole = open(false, settings);
    await whole.run();
    const expected = bits(whole);
    whole.close();
    for (const untilStep of [2, 4]) {
      rmSync(directory, { recursive: true });
      const stopped = open(false, settings);
      await stopped.run({ untilStep });
      stopped.close();
      const resumed = open(true, settings);
      expect(resumed.startStep).toBe(untilStep);
      await resumed.run();
      expect(bits(resumed)).toEqual(expected);
      resumed.close();
    }
    const { lr } = metrics().findLast((record) => record.type === 'step' && record.step === 4) as { lr: number };
    expect(lr).toBeCloseTo((1e-3 * 2 * 2) / 3 / 5, 12);
  });

  it('resumes a checkpoint that says nothing of what came later, as it holds by default', async () => {
    const run = open(false);
    await run.run({ untilStep: 4 });
    run.close();
    const path = join(directory, 'checkpoints/step-000004/config.json');
    const { activationFormat: _, weightFormat: __, subNorms: ___, ...earlier } = JSON.parse(readFileSync(path, 'utf8'));
    const padding = readFileSync(path).length - JSON.stringify(earlier).length;
    writeFileSync(path, JSON.stringify(earlier) + ' '.repeat(padding)); // the size of a file is checked
    const resumed = open(true);
    expect(resumed.startStep).toBe(4);
    resumed.close();
  });

  it('resumes from the beginning where it ended before its first checkpoint', async () => {
    open(false).close();
    const run = open(true);
    expect(run.startStep).toBe(0);
    expect(run.lastCheckpoint).toBeNull();
    expect(await run.run()).toBe('done');
    run.close();
  });

  it('resumes from the beginning where writing its first checkpoint failed', async () => {
    open(false).close();
    mkdirSync(join(directory, 'checkpoints', '.tmp-1-step-000002'), { recursive: true });
    expect(holdsCheckpoint(directory)).toBe(false);
    const run = open(true);
    expect(run.startStep).toBe(0);
    await run.run();
    run.close();
    expect(holdsCheckpoint(directory)).toBe(true);
  });

  it('begins with the values of another model; resumed it goes on from its own, to the bits of the whole run', async () => {
    let reads = 0;
    const initial: InitialParameters = {
      config: model,
      read({ shape }, out) {
        reads++;
        for (let i = 0; i < out.length; i++) out[i] = shape.length === 1 ? 1 : Math.sin(i) / 8;
      },
    };
    const bits = (run: TrainingRun) => run.trainer.model.parameters.map(({ value }) => [...value.data]);
    const settings: RunSettings = { ...SETTINGS, from: { path: 'other.gguf', format: 'gguf', step: 0 } };
    const whole = open(false, settings, initial);
    expect(whole.trainer.model.parameters[0].value.data[3]).toBe(Math.fround(Math.sin(3) / 8));
    await whole.run();
    const expected = bits(whole);
    whole.close();
    rmSync(directory, { recursive: true });
    const stopped = open(false, settings, initial);
    await stopped.run({ untilStep: 2 });
    stopped.close();
    const before = reads;
    const resumed = open(true, readRunSettings(directory), initial);
    expect(reads).toBe(before);
    await resumed.run();
    expect(bits(resumed)).toEqual(expected);
    expect(readRunSettings(directory).from).toEqual(settings.from);
    resumed.close();
  });

  it('does not go on where every checkpoint is damaged', async () => {
    const run = open(false);
    await run.run();
    run.close();
    for (const step of ['4', '6'])
      appendFileSync(join(directory, `checkpoints/step-00000${step}/model.safetensors`), 'x');
    expect(() => open(true)).toThrow(FormatError);
  });

  it('keeps its settings in run.json', () => {
    expect(holdsRun(directory)).toBe(false);
    writeRunSettings(directory, SETTINGS);
    expect(holdsRun(directory)).toBe(true);
    expect(readRunSettings(directory)).toEqual(SETTINGS);
    writeFileSync(join(directory, 'run.json'), '{"formatVersion": 2}');
    expect(() => readRunSettings(directory)).toThrow(/expected formatVersion 1 .*got formatVersion 2/);
    writeFileSync(join(directory, 'run.json'), '{');
    expect(() => readRunSettings(directory)).toThrow(FormatError);
  });
});
