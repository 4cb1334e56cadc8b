import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../formats/checkpoint-directory.ts';
import { readLawRuns } from '../../scaling/law-runs.ts';
import { type RunSettings, writeRunSettings } from '../../train/run-directory.ts';
import { FormatError } from '../../util/errors.ts';
import { cellsOf, checkSweepPlan, runOf, type SweepRun } from './sweep-plan.ts';
import { divergedRow, evaluationArguments, type SweepFiles, trainRun } from './sweep-run.ts';
import { hasDiverged, SweepTable } from './sweep-table.ts';

const PLAN = checkSweepPlan(
  {
    base: { model: { vocabSize: 300, seqLen: 32 }, train: { steps: 4, batchSize: 2 } },
    sizes: { small: { dim: 32, hiddenDim: 88, nLayers: 2, nHeads: 2 } },
    formats: { ternary: { model: { weightFormat: 'ternary', activationFormat: 'int8' } } },
    sparsities: [0.5],
  },
  'plan.mjs',
);

describe('a run of a sweep that was begun before', () => {
  let files: SweepFiles;
  beforeEach(() => {
    const out = mkdtempSync(join(tmpdir(), 'qsparse-sweep-'));
    files = { out, text: ['text.txt'], validation: null, threads: 1, backend: null };
  });
  afterEach(() => {
    notice.mockClear();
    rmSync(files.out, { recursive: true, force: true });
  });

  const run = runOf(PLAN, cellsOf(PLAN)[0], 2e-3);
  const directory = () => join(files.out, 'runs', run.name);
  const lock = (holder: object) => writeFileSync(join(directory(), 'run.lock'), JSON.stringify(holder));
  const begin = (changes: { model?: object; train?: object }) => {
    mkdirSync(directory(), { recursive: true });
    const model = { ...run.model, ...changes.model };
    const settings = { model, train: { ...run.train, ...changes.train }, text: { paths: ['text.txt'], field: 'text' } };
    writeRunSettings(directory(), settings as RunSettings);
  };
  const notice = vi.fn();
  const train = (wanted: SweepRun = run) => trainRun(wanted, files, new AbortController().signal, notice);

  it.each([
    ['train', { train: { steps: 5 } }, /small-ternary-s50-seed0-lr0\.002 was begun with steps 5, the plan says 4/],
    ['model', { model: { subNorms: true } }, /was begun with subNorms true, the plan says false/],
  ])('is refused where the plan has another %s', async (_part, changes, message) => {
    begin(changes);
    await expect(train()).rejects.toThrow(FormatError);
    await expect(train()).rejects.toThrow(message);
  });

  it('goes on with the same settings, whatever the size of its vocabulary', async () => {
    begin({ model: { vocabSize: 290 } });
    // There is no built program beside this source: the child that would go on ends at once.
    await expect(train()).rejects.toThrow(/ended with code 1/);
  });

  it('is waited for while another process here trains it, which is said once', async () => {
    begin({});
    const holder = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
    lock({ pid: holder.pid, host: hostname() });
    const ended = train();
    await vi.waitFor(() => expect(notice).toHaveBeenCalledTimes(1));
    expect(notice.mock.calls[0][0]).toMatch(
      /^waiting for the process that trains in .*small-ternary-s50-seed0-lr0\.002/,
    );
    holder.kill('SIGKILL');
    await expect(ended).rejects.toThrow(/ended with code 1/);
    expect(notice).toHaveBeenCalledTimes(1);
  });

  it('is not waited for where another machine holds it', async () => {
    begin({});
    lock({ pid: 1, host: 'elsewhere' });
    await expect(train()).rejects.toThrow(/process 1 on elsewhere holds/);
  });

  it('that diverged has a row of what it was, whose losses no fit takes', async () => {
    begin({});
    const step = { type: 'step', step: 1, tokens: 64, seconds: 2, loss: 5, modelSparsity: 0.5 };
    writeFileSync(join(directory(), 'metrics.jsonl'), `${JSON.stringify(step)}\n`);
    const row = await divergedRow(run, files);
    expect(row).toMatchObject({ run: run.name, lr: 2e-3, zeros: 0.5, tokens: 64, settings: run.settings });
    const table = new SweepTable(join(files.out, 'rates.csv'));
    table.add(row);
    const again = new SweepTable(table.path);
    expect(again.find(run)).toEqual(row);
    expect(hasDiverged(again.rows[0])).toBe(true);
    const text = readFileSync(table.path, 'utf8');
    expect(text).toContain(',64,diverged,diverged,diverged,2,');
    expect(() => readLawRuns(text, table.path)).toThrow(/expected a number above 0, got "diverged"/);
  });

  it('is evaluated at its latest checkpoint, not at its best', () => {
    const contents = { config: {}, tokenizer: {}, state: {}, model: [], optimizer: [] };
    for (const step of [1, 2]) saveCheckpoint(directory(), { step, keepLast: 1, best: step === 1, files: contents });
    expect(evaluationArguments(directory(), { ...files, validation: 'unseen.txt', backend: 'native' })).toEqual([
      ...['eval', join(directory(), 'checkpoints', 'step-000002'), '--text', 'unseen.txt'],
      ...['--json', '--threads', '1', '--backend', 'native'],
    ]);
  });
});
