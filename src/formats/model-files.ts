/**
 * config.json, tokenizer.json and tokenizer_config.json, the files that a training checkpoint and a packed model have in common, and JSON files in general.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, messageOf } from '../util/errors.ts';
import { checkVersion, FORMAT_VERSION } from './format-version.ts';

export const CONFIG_FILE = 'config.json';
export const TOKENIZER_FILE = 'tokenizer.json';
/** Of Hugging Face, beside tokenizer.json: special tokens and the chat template. Only models that came from another program have one. */
export const TOKENIZER_CONFIG_FILE = 'tokenizer_config.json';
export const MODEL_FILE = 'model.safetensors';

/** The model's configuration without its formatVersion. Throws FormatError. */
export function readConfigFile(directory: string): Record<string, unknown> {
  const path = join(directory, CONFIG_FILE);
  const { formatVersion, ...config } = readJsonFile(path);
  checkVersion(path, formatVersion);
  return config;
}

export function writeConfigFile(directory: string, config: object): void {
  writeJsonFile(join(directory, CONFIG_FILE), { formatVersion: FORMAT_VERSION, ...config });
}

/** `tokenizer`: the contents of tokenizer.json, as an object or as text. */
export function writeTokenizerFile(directory: string, tokenizer: object | string): void {
  writeFileSync(join(directory, TOKENIZER_FILE), typeof tokenizer === 'string' ? tokenizer : JSON.stringify(tokenizer));
}

/** What goes with the tokenizer of a model of another program: the contents of tokenizer_config.json; null where there is none. Throws FormatError. */
export function readTokenizerConfigFile(directory: string): Record<string, unknown> | null {
  const path = join(directory, TOKENIZER_CONFIG_FILE);
  return existsSync(path) ? readJsonFile(path) : null;
}

/** Writes nothing for null. */
export function writeTokenizerConfigFile(directory: string, tokenizerConfig: object | null): void {
  if (tokenizerConfig !== null) writeJsonFile(join(directory, TOKENIZER_CONFIG_FILE), tokenizerConfig);
}

/** The object in a JSON file. Throws FormatError. */
export function readJsonFile(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    fail(path, `cannot be read: ${messageOf(error)}.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(path, 'expected a JSON object.');
  return value as Record<string, unknown>;
}

export function writeJsonFile(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

function fail(path: string, message: string): never {
  throw new FormatError('checkpoint', `${path}: ${message}`, path);
}
