/**
 * A packed model on the disk: DIRECTORY/{config.json, tokenizer.json, model.safetensors}, and tokenizer_config.json of one from elsewhere; written whole
 * or not at all.
 *
 * Owns which files there are and what may be replaced; what lies in model.safetensors is packed-file.ts. A checkpoint of training is told
 * apart by its state.json.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, UsageError } from '../util/errors.ts';
import { writeDirectoryInSteps } from './atomic-write.ts';
import { STATE_FILE } from './checkpoint-directory.ts';
import {
  CONFIG_FILE,
  MODEL_FILE,
  readConfigFile,
  readJsonFile,
  readTokenizerConfigFile,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
  writeConfigFile,
  writeTokenizerConfigFile,
  writeTokenizerFile,
} from './model-files.ts';
import { openPacked, type PackedFile } from './packed-file.ts';
import { isPacked } from './packed-metadata.ts';
import { readSafetensorsHeader } from './safetensors.ts';

const FILES: readonly string[] = [CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, MODEL_FILE];

export interface PackedDirectory {
  readonly path: string;
  readonly config: Record<string, unknown>;
  readonly tokenizer: Record<string, unknown>;
  /** Of a model of another program; null otherwise. */
  readonly tokenizerConfig: Record<string, unknown> | null;
  readonly model: PackedFile;
  close(): void;
}

/** Whether a directory with a config.json holds a packed model rather than a checkpoint of training. Throws FormatError for neither. */
export function holdsPackedModel(path: string): boolean {
  if (existsSync(join(path, STATE_FILE))) return false;
  const file = join(path, MODEL_FILE);
  if (isPacked(readSafetensorsHeader(file))) return true;
  const what = `expected ${STATE_FILE} beside it (a checkpoint of training) or the metadata of a packed model, found neither`;
  throw new FormatError('packed', `${file}: ${what}. Copy the whole directory again.`, file);
}

/** Opens a packed model. Close it: its tensor file stays open. Throws FormatError. */
export function readPackedDirectory(path: string): PackedDirectory {
  const config = readConfigFile(path);
  const tokenizer = readJsonFile(join(path, TOKENIZER_FILE));
  const tokenizerConfig = readTokenizerConfigFile(path);
  const model = openPacked(join(path, MODEL_FILE));
  return { path, config, tokenizer, tokenizerConfig, model, close: () => model.close() };
}

/**
 * Writes a packed model: `writeModel` writes model.safetensors at the path that it is given. Throws FormatError where writing fails, and passes on
 * what `writeModel` throws; nothing stays behind then, and a model that was to be replaced is as it was.
 */
export async function writePackedDirectory(
  path: string,
  files: { config: object; tokenizer: object | string; tokenizerConfig: object | null },
  writeModel: (path: string) => Promise<void>,
  options: { replace: boolean },
): Promise<void> {
  const fill = async (directory: string) => {
    writeConfigFile(directory, files.config);
    writeTokenizerFile(directory, files.tokenizer);
    writeTokenizerConfigFile(directory, files.tokenizerConfig);
    await writeModel(join(directory, MODEL_FILE));
  };
  await writeDirectoryInSteps(path, fill, options);
}

/**
 * Throws UsageError unless a packed model may be written to `path`: nothing is there, an empty directory, or, with `replace`, another
 * packed model and no file besides. Anything else may be what somebody still needs.
 */
export function checkPackedTarget(path: string, replace: boolean): void {
  if (!existsSync(path)) return;
  const refuse = (what: string): never => {
    throw new UsageError('convert', `${path} ${what}. Choose another name, or remove it first.`);
  };
  if (!statSync(path).isDirectory()) refuse('is a file: expected the name of a directory to write');
  const names = readdirSync(path);
  if (names.length === 0) return;
  if (!names.every((name) => FILES.includes(name)) || !isPackedModel(path)) {
    refuse('exists and is no packed model: only one of those is ever replaced');
  }
  if (!replace) refuse('exists: expected a new name, or --force to replace the packed model there');
}

function isPackedModel(path: string): boolean {
  try {
    return holdsPackedModel(path);
  } catch {
    return false;
  }
}
