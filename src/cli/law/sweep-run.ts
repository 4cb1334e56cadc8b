/**
 * One run of a sweep: `qsparse train` as a child process, resumed where an earlier sweep was stopped, then the row of what it came to.
 *
 * A child is a process group of its own: Ctrl-C reaches the sweep alone, which passes it on once, so that the child saves. A sweep that was
 * killed leaves children that go on; the next sweep finds their lock and waits for them.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lockRunDirectory } from '../../formats/run-lock.ts';
import { readRun } from '../../report/read-metrics.ts';
import type { MetricsRecord } from '../../train/metrics.ts';
import { runPaths } from '../../train/run-directory.ts';
import { TrainingError } from '../../util/errors.ts';
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

/** The row of the run, or null where `signal` stopped it. Throws TrainingError where the child fails. */
export async function trainRun(run: SweepRun, files: SweepFiles, signal: AbortSignal): Promise<SweepRow | null> {
  const directory = join(files.out, 'runs', run.name);
  if (!(await untilFree(directory, signal))) return null;
  const log = `${directory}.log`;
  const code = await child(trainArguments(run, directory, files), log, signal);
  if (signal.aborted) return null;
  if (code !== 0)
    throw new TrainingError('sweep', `${run.name} ended with code ${code}. See ${log}; then the same command goes on.`);
  return rowOf(run, directory, files, signal);
}

/** Removes the tokens and checkpoints of a run whose row is written; settings and metrics stay. */
export function discardRun({ name }: SweepRun, { out }: SweepFiles): void {
  const { tokens, checkpoints } = runPaths(join(out, 'runs', name));
  for (const path of [tokens, checkpoints]) rmSync(path, { recursive: true, force: true });
}

/** Where the tokenizer lies that all runs share. */
export function sharedTokenizer(out: string): string {
  return join(out, 'tokenizer.json');
}

function trainArguments(run: SweepRun, directory: string, files: SweepFiles): string[] {
  const common = ['--out', directory, '--threads', String(files.threads)];
  if (files.backend !== null) common.push('--backend', files.backend);
  if (existsSync(runPaths(directory).settings)) return ['train', '--resume', ...common];
  mkdirSync(join(files.out, 'runs'), { recursive: true });
  const recipe = `${directory}.mjs`;
  writeFileSync(recipe, `export const recipe = ${JSON.stringify(run.recipe, null, 2)};\n`);
  const tokenizer = sharedTokenizer(files.out);
  const given = existsSync(tokenizer) ? ['--tokenizer', tokenizer] : [];
  return ['train', recipe, '--text', ...files.text.map((path) => resolve(path)), ...given, ...common];
}

/** Runs the command line itself, its output appended to `log`; ends it as Ctrl-C would where `signal` says so. */
function child(args: readonly string[], log: string, signal: AbortSignal): Promise<number | null> {
  const out = openSync(log, 'a');
  const trainer = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', out, out], detached: true });
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

/** false where `signal` came first. */
async function untilFree(directory: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      lockRunDirectory(directory).release();
      return true;
    } catch (error) {
      if (!(error instanceof TrainingError)) throw error;
      await new Promise((tick) => setTimeout(tick, LOCK_POLL_MS));
    }
  }
  return false;
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
  const step = steps.at(-1);
  if (step === undefined || validation === undefined) {
    throw new TrainingError('sweep', `${run.name} ended without a step and a validation. See ${directory}.log.`);
  }
  const measured = files.validation === null ? validation : await validate(directory, files, signal);
  if (measured === null) return null;
  const tail = steps.slice(-TAIL_STEPS);
  return {
    ...{ run: run.name, size: run.size, format: run.format, sparsity: run.sparsity, seed: run.seed },
    lr: run.train.lr,
    parameters: run.parameters,
    zeros: rounded(mean(tail.map(({ modelSparsity }) => modelSparsity))),
    tokens: step.tokens,
    loss: rounded(measured.loss),
    bitsPerByte: rounded(measured.bitsPerByte),
    trainingLoss: rounded(mean(tail.map(({ loss }) => loss))),
    seconds: rounded(step.seconds),
    peakBytes: Math.max(0, ...of(records, 'detail').map(({ peakBytes }) => peakBytes ?? 0)),
    backend: of(records, 'run').at(-1)?.backend ?? '',
    settings: run.settings,
  };
}

/** Loss of the last checkpoint on the validation text, by `qsparse eval`. */
async function validate(
  directory: string,
  { validation, threads, backend }: SweepFiles,
  signal: AbortSignal,
): Promise<{ loss: number; bitsPerByte: number } | null> {
  const args = ['eval', directory, '--text', validation!, '--json', '--threads', String(threads)];
  if (backend !== null) args.push('--backend', backend);
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

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function rounded(value: number): number {
  return Number(value.toPrecision(7));
}
