/**
 * The checkpoints of a run: RUN/checkpoints/step-000100/{config.json, model.safetensors, tokenizer.json,
 * optimizer.safetensors, state.json}, with tokenizer_config.json where the model came from another program, and RUN/latest.json and RUN/best.json that point at one of them.
 *
 * Owns what is on the disk and in which order it gets there; what the files mean belongs to the trainer. A checkpoint is written
 * whole (atomic-write.ts), then the pointers, and only then are old ones removed: whenever the process is killed, the
 * pointers name checkpoints that are complete. state.json holds the size of every other file, so that a copy that was
 * cut short is noticed. `optimizer.safetensors` may be deleted where only the model is wanted.
 */

import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import {
  OLD_PREFIX,
  resolveDirectory,
  writeDirectoryAtomically,
  writeDirectoryInSteps,
  writeFileAtomically,
} from './atomic-write.ts';
import { checkVersion, FORMAT_VERSION } from './format-version.ts';
import {
  CONFIG_FILE,
  MODEL_FILE,
  readConfigFile,
  readJsonFile,
  readTokenizerConfigFile,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
  writeConfigFile,
  writeJsonFile,
  writeTokenizerConfigFile,
  writeTokenizerFile,
} from './model-files.ts';
import type { SafetensorsFile, TensorEntry } from './safetensors.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

const CHECKPOINTS = 'checkpoints';
const STEP_NAME = new RegExp(`^(?:\\${OLD_PREFIX})?(step-(\\d{6,}))$`);
const OPTIMIZER_FILE = 'optimizer.safetensors';
/** May be missing: the optimiser's may be deleted, the other one not every model has. */
const OPTIONAL_FILES: readonly string[] = [OPTIMIZER_FILE, TOKENIZER_CONFIG_FILE];
/** Written last; a packed model has none. */
export const STATE_FILE = 'state.json';
/** Those of which state.json holds the size. */
const SIZED_FILES = [CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, MODEL_FILE, OPTIMIZER_FILE] as const;

export interface CheckpointFiles {
  /** The model's configuration, without formatVersion: that is added. */
  config: object;
  /** The contents of tokenizer.json, as an object or as text. */
  tokenizer: object | string;
  /** The contents of tokenizer_config.json, of a model that came from another program. */
  tokenizerConfig?: object | null;
  /** Whatever the trainer needs to go on; any JSON. */
  state: object;
  model: readonly TensorEntry[];
  optimizer: readonly TensorEntry[];
}

export interface SaveOptions {
  step: number;
  files: CheckpointFiles;
  /** How many of the newest stay, at least 1; the best one stays beside them. */
  keepLast: number;
  /** This one has the lowest validation loss so far. */
  best: boolean;
}

export interface Checkpoint {
  readonly path: string;
  readonly step: number;
  readonly config: Record<string, unknown>;
  readonly state: Record<string, unknown>;
  readonly tokenizer: Record<string, unknown>;
  /** Of a model of another program; null otherwise. */
  readonly tokenizerConfig: Record<string, unknown> | null;
  readonly model: SafetensorsFile;
  readonly optimizer: SafetensorsFile | null;
  close(): void;
}

/**
 * Saves one checkpoint and returns its directory. A save at a step that exists replaces it. Checkpoints of later steps,
 * left by a run that was taken up again from before them, are removed with the old ones. Hold the run's lock meanwhile.
 * Throws FormatError where writing fails; the checkpoints before it are then as they were.
 */
export function saveCheckpoint(runDir: string, { step, files, keepLast, best }: SaveOptions): string {
  const name = `step-${String(step).padStart(6, '0')}`;
  const path = join(runDir, CHECKPOINTS, name);
  writeDirectoryAtomically(path, (directory) => writeCheckpointFiles(directory, step, files));
  // The state that is gone on from knows the best loss: it must not come before the pointer to the best. A kill between the two does the steps since the last one again.
  if (best) writeFileAtomically(join(runDir, 'best.json'), pointerText(name));
  writeFileAtomically(join(runDir, 'latest.json'), pointerText(name));
  removeOld(runDir, step, Math.max(1, keepLast));
  return path;
}

/**
 * The directory of the latest or best checkpoint of a run; a checkpoint directory stands for itself. Where a pointer is
 * missing or dangling, `latest` is the highest step that is complete and `best` falls back to `latest`.
 * Throws FormatError where there is none, and where the one that is pointed at is damaged: it was complete once, and an
 * older one in its place would be another model without a word.
 */
export function findCheckpoint(given: string, which: 'latest' | 'best'): string {
  const path = resolveDirectory(given);
  if (path === undefined)
    return fail(given, 'does not exist: expected a run or a checkpoint directory. Check the path.');
  if (existsSync(join(path, CONFIG_FILE))) return path;
  for (const pointer of which === 'best' ? ['best.json', 'latest.json'] : ['latest.json']) {
    const name = readPointer(join(path, pointer));
    const found = name === undefined ? undefined : resolveDirectory(join(path, CHECKPOINTS, name));
    if (found !== undefined) {
      checkFiles(found);
      return found;
    }
  }
  const newest = listSteps(path).find((entry) => isComplete(entry.path));
  if (newest !== undefined) return newest.path;
  const what = 'expected config.json (a checkpoint) or checkpoints/step-* (a run), found neither complete';
  return fail(path, `${what}. Train first, or give the --out directory of a training run.`);
}

/** Opens a checkpoint directory. Close it: its tensor files stay open for reading. Throws FormatError. */
export function readCheckpoint(path: string): Checkpoint {
  const config = readConfigFile(path);
  const { step, state } = checkFiles(path);
  const tokenizer = readJsonFile(join(path, TOKENIZER_FILE));
  const tokenizerConfig = readTokenizerConfigFile(path);
  const model = openSafetensors(join(path, MODEL_FILE));
  let optimizer: SafetensorsFile | null = null;
  try {
    if (existsSync(join(path, OPTIMIZER_FILE))) optimizer = openSafetensors(join(path, OPTIMIZER_FILE));
  } catch (error) {
    model.close();
    throw error;
  }
  const close = () => {
    model.close();
    optimizer?.close();
  };
  return { path, step, config, state, tokenizer, tokenizerConfig, model, optimizer, close };
}

/** Throws FormatError where `path` holds anything: to be asked before something takes its time. */
export function checkDerivedTarget(path: string): void {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory() && readdirSync(path).length === 0) return;
  fail(path, 'holds something already; nothing was written. Choose another directory.');
}

/**
 * Writes a checkpoint that has the weights and the tokenizer of another one and its own configuration, without the optimiser's state. Throws
 * FormatError where `path` holds anything.
 */
export async function writeDerivedCheckpoint(path: string, from: Checkpoint, config: object): Promise<void> {
  checkDerivedTarget(path);
  const fill = async (directory: string): Promise<void> => {
    writeConfigFile(directory, config);
    for (const name of [TOKENIZER_FILE, MODEL_FILE]) await copyFile(join(from.path, name), join(directory, name));
    writeTokenizerConfigFile(directory, from.tokenizerConfig);
    writeStateFile(directory, from.step, from.state);
  };
  await writeDirectoryInSteps(path, fill, { replace: false });
}

/**
 * Writes a checkpoint without the optimiser's state whose model.safetensors `writeModel` writes, at the path that it is given. Throws FormatError where
 * `path` holds anything or writing fails, and passes on what `writeModel` throws; nothing stays behind then.
 */
export async function writeCheckpointInSteps(
  path: string,
  files: Pick<CheckpointFiles, 'config' | 'tokenizer' | 'tokenizerConfig' | 'state'> & { step: number },
  writeModel: (path: string) => Promise<void>,
): Promise<void> {
  checkDerivedTarget(path);
  const fill = async (directory: string): Promise<void> => {
    writeConfigFile(directory, files.config);
    writeTokenizerFile(directory, files.tokenizer);
    writeTokenizerConfigFile(directory, files.tokenizerConfig ?? null);
    await writeModel(join(directory, MODEL_FILE));
    writeStateFile(directory, files.step, files.state);
  };
  await writeDirectoryInSteps(path, fill, { replace: false });
}

function writeCheckpointFiles(directory: string, step: number, files: CheckpointFiles): void {
  const { config, tokenizer, tokenizerConfig = null, state, model, optimizer } = files;
  mkdirSync(directory, { recursive: true });
  writeConfigFile(directory, config);
  writeTokenizerFile(directory, tokenizer);
  writeTokenizerConfigFile(directory, tokenizerConfig);
  writeSafetensors(join(directory, MODEL_FILE), model, { format: 'qsparse' });
  writeSafetensors(join(directory, OPTIMIZER_FILE), optimizer, { format: 'qsparse' });
  writeStateFile(directory, step, state);
}

function writeStateFile(directory: string, step: number, state: object): void {
  const there = SIZED_FILES.filter((name) => existsSync(join(directory, name)));
  const sizes = there.map((name) => [name, statSync(join(directory, name)).size]);
  const record = { formatVersion: FORMAT_VERSION, step, fileBytes: Object.fromEntries(sizes), state };
  writeJsonFile(join(directory, STATE_FILE), record);
}

/** Compares the files with the sizes in state.json and returns what else it holds. Throws FormatError. */
function checkFiles(path: string): { step: number; state: Record<string, unknown> } {
  const statePath = join(path, STATE_FILE);
  const { formatVersion, step, fileBytes, state } = readJsonFile(statePath);
  checkVersion(statePath, formatVersion);
  if (typeof step !== 'number' || !isObject(fileBytes) || !isObject(state)) {
    fail(statePath, `expected the fields step, fileBytes and state. ${howToMend(path)}`);
  }
  for (const name of SIZED_FILES) {
    const [file, bytes] = [join(path, name), fileBytes[name]];
    if (!existsSync(file)) {
      if (OPTIONAL_FILES.includes(name)) continue;
      fail(file, `is missing. ${howToMend(path)}`);
    }
    // Laid beside a checkpoint later, for its chat template.
    if (name === TOKENIZER_CONFIG_FILE && bytes === undefined) continue;
    const found = statSync(file).size;
    if (found !== bytes) fail(file, `expected ${bytes} bytes, found ${found}. ${howToMend(path)}`);
  }
  return { step, state };
}

function howToMend(path: string): string {
  return `The checkpoint is damaged: copy it again, use another one, or delete ${path} to fall back to the one before it.`;
}

function isComplete(path: string): boolean {
  try {
    checkFiles(path);
    return true;
  } catch {
    return false;
  }
}

/** All checkpoints of a run, the highest step first. One that stepped aside counts only where it was not replaced. */
function listSteps(runDir: string): { name: string; step: number; path: string }[] {
  const directory = join(runDir, CHECKPOINTS);
  if (!existsSync(directory)) return [];
  const names = new Map<string, number>();
  for (const entry of readdirSync(directory)) {
    const match = STEP_NAME.exec(entry);
    if (match !== null) names.set(match[1], Number(match[2]));
  }
  return [...names]
    .map(([name, step]) => ({ name, step, path: resolveDirectory(join(directory, name))! }))
    .sort((a, b) => b.step - a.step);
}

function removeOld(runDir: string, step: number, keepLast: number): void {
  const best = readPointer(join(runDir, 'best.json'));
  const kept = listSteps(runDir)
    .filter((entry) => entry.step <= step)
    .slice(0, keepLast)
    .map((entry) => entry.name);
  for (const { name, path } of listSteps(runDir)) {
    if (name !== best && !kept.includes(name)) rmSync(path, { recursive: true, force: true });
  }
}

function pointerText(name: string): string {
  return `${JSON.stringify({ checkpoint: name })}\n`;
}

/** The name in a pointer file; undefined where it is missing or names nothing of this run. */
function readPointer(path: string): string | undefined {
  try {
    const { checkpoint } = readJsonFile(path);
    return typeof checkpoint === 'string' && STEP_NAME.test(checkpoint) ? checkpoint : undefined;
  } catch {
    return undefined;
  }
}

function fail(path: string, message: string): never {
  throw new FormatError('checkpoint', `${path}: ${message}`, path);
}
