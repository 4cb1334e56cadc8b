/**
 * One run of a sweep: `qsparse train` as a child process, resumed where an earlier sweep was stopped, then the row of what it came to.
 *
 * A child is a process group of its own: Ctrl-C reaches the sweep alone, which passes it on once, so that the child saves. A sweep that was
 * killed leaves children that go on; the next sweep finds their lock and waits for them.
 */

import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCheckpoint } from '../../formats/checkpoint-directory.ts';
import { lockRunDirectory } from '../../formats/run-lock.ts';
import { readRun } from '../../report/read-metrics.ts';
import { DivergenceError } from '../../train/divergence-error.ts';
import type { MetricsRecord } from '../../train/metrics.ts';
import { readRunSettings, runPaths } from '../../train/run-directory.ts';
import { FormatError, TrainingError } from '../../util/errors.ts';
import { mean } from '../../util/mean.ts';
import { DIVERGED_EXIT_CODE } from '../shared/report-error.ts';
import type { SweepRun } from './sweep-plan.ts';
import type { SweepRow } from './sweep-table.ts';

export interface SweepFiles {
  /** The folder of the sweep. */
  readonly out: string;
  readonly text: readonly string[];
  /** What losses are measured on; null: the documents that training held out. */
  readonly validation: string | null;
  readonly threads: number;
  readonly backend: string | null;
}

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const TAIL_STEPS = 20;
const LOCK_POLL_MS = 2000;

/**
 * The row of the run, or null where `signal` stopped it; `notice` is told what it waits for. Throws DivergenceError where the training diverged,
 * TrainingError where the child fails, FormatError where the run was begun with other settings than those of the plan.
 */
export async function trainRun(
  run: SweepRun,
  files: SweepFiles,
  signal: AbortSignal,
  notice: (line: string) => void,
): Promise<SweepRow | null> {
  const directory = directoryOf(run, files);
  if (!(await untilFree(directory, signal, notice))) return null;
  const log = `${directory}.log`;
  const code = await child(trainArguments(run, directory, files), log, signal);
  if (signal.aborted) return null;
  if (code === DIVERGED_EXIT_CODE) {
    throw new DivergenceError('sweep', `${run.name} diverged. See ${log}; a lower learning rate may not.`);
  }
  if (code !== 0)
    throw new TrainingError('sweep', `${run.name} ended with code ${code}. See ${log}; then the same command goes on.`);
  return rowOf(run, directory, files, signal);
}

/** Removes the tokens and checkpoints of a run whose row is written; settings and metrics stay. */
export function discardRun(run: SweepRun, files: SweepFiles): void {
  const { tokens, checkpoints } = runPaths(directoryOf(run, files));
  for (const path of [tokens, checkpoints]) rmSync(path, { recursive: true, force: true });
}

function directoryOf({ name }: SweepRun, { out }: SweepFiles): string {
  return join(out, 'runs', name);
}

/** Where the tokenizer lies that all runs share. */
export function sharedTokenizer(out: string): string {
  return join(out, 'tokenizer.json');
}

function trainArguments(run: SweepRun, directory: string, files: SweepFiles): string[] {
  const common = ['--out', directory, '--threads', String(files.threads)];
  if (files.backend !== null) common.push('--backend', files.backend);
  if (existsSync(runPaths(directory).settings)) {
    refuseOtherSettings(run, directory);
    return ['train', '--resume', ...common];
  }
  mkdirSync(join(files.out, 'runs'), { recursive: true });
  const recipe = `${directory}.mjs`;
  writeFileSync(recipe, `export const recipe = ${JSON.stringify(run.recipe, null, 2)};\n`);
  const tokenizer = sharedTokenizer(files.out);
  const given = existsSync(tokenizer) ? ['--tokenizer', tokenizer] : [];
  return ['train', recipe, '--text', ...files.text.map((path) => resolve(path)), ...given, ...common];
}

/** A begun run goes on with its own settings, and the row would have those of the plan. The vocabulary is that of the tokenizer. */
function refuseOtherSettings({ name, model, train }: SweepRun, directory: string): void {
  const saved = readRunSettings(directory);
  const other =
    otherField(model, { ...saved.model, vocabSize: model.vocabSize }) ?? otherField({ ...train }, { ...saved.train });
  if (other === undefined) return;
  const { settings: path } = runPaths(directory);
  const message = `${name} was begun with ${other.field} ${other.found}, the plan says ${other.expected}.`;
  throw new FormatError('sweep', `${path}: ${message} Use another --out, or the old plan.`, path);
}

function otherField<T extends object>(
  wanted: T,
  saved: T,
): { field: string; expected: string; found: string } | undefined {
  for (const field of Object.keys(wanted) as (keyof T & string)[]) {
    const [expected, found] = [wanted[field], saved[field]].map((value) => JSON.stringify(value));
    if (expected !== found) return { field, expected, found };
  }
  return undefined;
}

/** Runs the command line itself, its output appended to `log`; ends it as Ctrl-C would where `signal` says so. */
function child(args: readonly string[], log: string, signal: AbortSignal): Promise<number | null> {
  const out = openSync(log, 'a');
  const trainer = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', out, out], detached: true });
  closeSync(out);
  const stop = () => trainer.kill('SIGINT');
  signal.addEventListener('abort', stop);
  return new Promise((done, failed) => {
    trainer.on('error', failed);
    trainer.on('close', (code) => {
      signal.removeEventListener('abort', stop);
      done(code);
    });
  });
}

/** false where `signal` came first. Throws TrainingError where another machine holds the directory: nobody here sees whether that ends. */
async function untilFree(directory: string, signal: AbortSignal, notice: (line: string) => void): Promise<boolean> {
  let isSaid = false;
  while (!signal.aborted) {
    try {
      lockRunDirectory(directory).release();
      return true;
    } catch (error) {
      if (!(error instanceof TrainingError) || isHeldElsewhere(directory)) throw error;
      if (!isSaid) notice(`waiting for the process that trains in ${directory} already`);
      isSaid = true;
      await new Promise((tick) => setTimeout(tick, LOCK_POLL_MS));
    }
  }
  return false;
}

function isHeldElsewhere(directory: string): boolean {
  try {
    const { host } = JSON.parse(readFileSync(join(directory, 'run.lock'), 'utf8'));
    return host !== hostname();
  } catch {
    // Released meanwhile.
    return false;
  }
}

/** The row of a run that diverged: what it was, and losses that no other is worse than. */
export async function divergedRow(run: SweepRun, files: SweepFiles): Promise<SweepRow> {
  const { records } = await readRun(directoryOf(run, files));
  const worst = Number.POSITIVE_INFINITY;
  return { ...describeRun(run, records), loss: worst, bitsPerByte: worst, trainingLoss: worst };
}

async function rowOf(
  run: SweepRun,
  directory: string,
  files: SweepFiles,
  signal: AbortSignal,
): Promise<SweepRow | null> {
  const { records } = await readRun(directory);
  const steps = of(records, 'step');
  const validation = of(records, 'validation').at(-1);
  if (steps.length === 0 || validation === undefined) {
    throw new TrainingError('sweep', `${run.name} ended without a step and a validation. See ${directory}.log.`);
  }
  const measured = files.validation === null ? validation : await validate(directory, files, signal);
  if (measured === null) return null;
  return {
    ...describeRun(run, records),
    loss: rounded(measured.loss),
    bitsPerByte: rounded(measured.bitsPerByte),
    trainingLoss: rounded(mean(steps.slice(-TAIL_STEPS).map(({ loss }) => loss))),
  };
}

/** What a row says besides its losses; zeros where there was no step. */
function describeRun(
  run: SweepRun,
  records: readonly MetricsRecord[],
): Omit<SweepRow, 'loss' | 'bitsPerByte' | 'trainingLoss'> {
  const tail = of(records, 'step').slice(-TAIL_STEPS);
  const last = tail.at(-1);
  return {
    ...{ run: run.name, size: run.size, format: run.format, sparsity: run.sparsity, seed: run.seed },
    lr: run.train.lr,
    parameters: run.parameters,
    zeros: last === undefined ? 0 : rounded(mean(tail.map(({ modelSparsity }) => modelSparsity))),
    tokens: last?.tokens ?? 0,
    seconds: rounded(last?.seconds ?? 0),
    peakBytes: Math.max(0, ...of(records, 'detail').map(({ peakBytes }) => peakBytes ?? 0)),
    backend: of(records, 'run').at(-1)?.backend ?? '',
    settings: run.settings,
  };
}

/** Of `qsparse eval` on the validation text: the latest checkpoint, which all other columns are of, not the best. */
export function evaluationArguments(directory: string, { validation, threads, backend }: SweepFiles): string[] {
  const args = [
    'eval',
    findCheckpoint(directory, 'latest'),
    '--text',
    validation!,
    '--json',
    '--threads',
    String(threads),
  ];
  return backend === null ? args : [...args, '--backend', backend];
}

/** Loss of the run on the validation text. */
async function validate(
  directory: string,
  files: SweepFiles,
  signal: AbortSignal,
): Promise<{ loss: number; bitsPerByte: number } | null> {
  const args = evaluationArguments(directory, files);
  const evaluation = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const stop = () => evaluation.kill('SIGINT');
  signal.addEventListener('abort', stop);
  const said = { stdout: '', stderr: '' };
  evaluation.stdout.on('data', (data) => {
    said.stdout += data;
  });
  evaluation.stderr.on('data', (data) => {
    said.stderr += data;
  });
  const code = await new Promise<number | null>((done) => evaluation.on('close', done));
  signal.removeEventListener('abort', stop);
  if (signal.aborted) return null;
  if (code !== 0)
    throw new TrainingError('sweep', `eval of ${directory} ended with code ${code}: ${said.stderr.trim().slice(-300)}`);
  const { natsPerToken, bitsPerByte } = JSON.parse(said.stdout).results[0].perplexity;
  return { loss: natsPerToken, bitsPerByte };
}

function of<T extends MetricsRecord['type']>(
  records: readonly MetricsRecord[],
  type: T,
): Extract<MetricsRecord, { type: T }>[] {
  return records.filter((record): record is Extract<MetricsRecord, { type: T }> => record.type === type);
}

function rounded(value: number): number {
  return Number(value.toPrecision(7));
}
