/**
 * The run directory: which file lies where, and `run.json`, the settings of the run.
 *
 *     RUN/run.json        model, training and text of the run
 *     RUN/tokenizer.json  made before the first step, also part of every checkpoint; with tokenizer_config.json where it came with a model
 *     RUN/tokens/         the text in tokens (prepare-token-data.ts)
 *     RUN/replay/         the same of what is replayed
 *     RUN/metrics.jsonl   the records (metrics.ts)
 *     RUN/checkpoints/    (formats/checkpoint-directory.ts)
 *
 * The settings are written before the first step, so that `--resume` needs no other option, also where the run ended before
 * its first checkpoint.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OLD_PREFIX, writeFileAtomically } from '../formats/atomic-write.ts';
import type { ModelConfig } from '../model/config.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { resolveTrainConfig, type TrainConfig } from './train-config.ts';

export interface RunSettings {
  model: ModelConfig;
  train: TrainConfig;
  text: { paths: string[]; field: string };
  /** Where the replayed share of the sequences comes from; absent without one. */
  replay?: { paths: string[] };
  /** The model that the run began with; absent where it began with fresh weights. */
  from?: RunOrigin;
  /** Of a fine-tuning, whose `text` are files of conversations. */
  conversations?: ConversationSettings;
}

export interface ConversationSettings {
  /** Lines that cannot be used are passed over. */
  skipBad: boolean;
  /** The time that chat templates which write the date have been told, ISO 8601: on another day it would be other text. Runs of before have none. */
  date?: string;
  /** Of ids, masks and borders of all examples: a resumed run has to find the same. */
  sha256: string;
}

/** A model that a training begins with. */
export interface RunOrigin {
  /** As it was named: a run, or an id of the Hub, whose checkpoint or file is `path`. Runs of before have none, nor `weights`. */
  given?: string;
  path: string;
  /** What it was. */
  format: string;
  /** Training steps that it had behind it, as far as this project's files say. */
  step: number;
  /** A hash that knows them again. */
  weights?: string;
}

/** Raised when a reader of the older form would misread the newer. */
const FORMAT_VERSION = 1;

/** The paths inside a run directory. */
export function runPaths(runDirectory: string) {
  return {
    settings: join(runDirectory, 'run.json'),
    tokenizer: join(runDirectory, 'tokenizer.json'),
    tokenizerConfig: join(runDirectory, 'tokenizer_config.json'),
    tokens: join(runDirectory, 'tokens'),
    replay: join(runDirectory, 'replay'),
    metrics: join(runDirectory, 'metrics.jsonl'),
    checkpoints: join(runDirectory, 'checkpoints'),
  };
}

/** True where a directory holds a run, whole or begun. */
export function holdsRun(directory: string): boolean {
  const { settings, metrics, checkpoints } = runPaths(directory);
  return [settings, metrics, checkpoints].some((path) => existsSync(path));
}

/**
 * True where a run has a checkpoint, complete or damaged. Their folder alone says nothing: it is there before the first of them is written, and stays
 * where that failed.
 */
export function holdsCheckpoint(runDirectory: string): boolean {
  const { checkpoints } = runPaths(runDirectory);
  if (!existsSync(checkpoints)) return false;
  return readdirSync(checkpoints).some((name) => name.startsWith('step-') || name.startsWith(`${OLD_PREFIX}step-`));
}

/** Writes run.json atomically. Throws FormatError. */
export function writeRunSettings(runDirectory: string, settings: RunSettings): void {
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...settings }, null, 2);
  writeFileAtomically(runPaths(runDirectory).settings, `${text}\n`);
}

/** Reads run.json. Throws FormatError where it is missing, no JSON, of another version or holds a wrong value. */
export function readRunSettings(runDirectory: string): RunSettings {
  const path = runPaths(runDirectory).settings;
  let settings: RunSettings & { formatVersion?: unknown };
  try {
    settings = JSON.parse(readFileSync(path, 'utf8')) as typeof settings;
  } catch (error) {
    throw new FormatError('run', `${path} cannot be read: ${messageOf(error)}.`, path, { cause: error });
  }
  if (settings?.formatVersion !== FORMAT_VERSION || !settings.model || !settings.train || !settings.text) {
    const found = settings?.formatVersion === undefined ? 'none' : String(settings.formatVersion);
    throw new FormatError(
      'run',
      `${path} is not the settings of a run of this version: expected formatVersion ${FORMAT_VERSION} with model, ` +
        `train and text, got formatVersion ${found}.`,
      path,
    );
  }
  return checked(settings, path);
}

function arePaths(paths: unknown): boolean {
  return Array.isArray(paths) && paths.every((entry) => typeof entry === 'string');
}

function areConversations(conversations: Partial<ConversationSettings> | null): boolean {
  const { skipBad, sha256, date } = conversations ?? {};
  const isDate = date === undefined || Number.isFinite(Date.parse(date));
  return typeof skipBad === 'boolean' && typeof sha256 === 'string' && isDate;
}

/** A file may have been edited by hand: the field that is wrong is better named here than where it hurts. */
function checked(settings: RunSettings, path: string): RunSettings {
  const { model, train, text, replay, from, conversations } = settings;
  const isText = arePaths(text.paths);
  if (!isText || typeof text.field !== 'string') {
    throw new FormatError('run', `${path}: text: expected { paths: [string], field: string }. Restore it.`, path);
  }
  if (from !== undefined && !(typeof from?.path === 'string' && typeof from.format === 'string')) {
    throw new FormatError('run', `${path}: from: expected { path: string, format: string, step }. Restore it.`, path);
  }
  if (replay !== undefined && !arePaths(replay?.paths)) {
    throw new FormatError('run', `${path}: replay: expected { paths: [string] }. Restore it.`, path);
  }
  if (conversations !== undefined && !areConversations(conversations)) {
    const expected = 'expected { skipBad: boolean, date: string, sha256: string }';
    throw new FormatError('run', `${path}: conversations: ${expected}. Restore it.`, path);
  }
  try {
    return {
      ...{ model: resolveConfig(model), train: resolveTrainConfig(train, model.seqLen), text },
      ...{ ...(replay && { replay }), ...(from && { from }), ...(conversations && { conversations }) },
    };
  } catch (error) {
    throw new FormatError('run', `${path}: ${messageOf(error)} Restore it.`, path, { cause: error });
  }
}
