/**
 * Which files of a repository make a model, and which names may become paths on this disk at all.
 *
 * Either configuration, weights in safetensors and tokenizer, or one GGUF file. Everything else (weights in other formats, code, pictures) stays
 * where it is.
 */

import { FormatError, UsageError } from '../util/errors.ts';

export const INDEX_FILE = 'model.safetensors.index.json';
export const WEIGHTS_FILE = 'model.safetensors';
export const CONFIG_FILE = 'config.json';

const TEXT_FILES = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
];

/**
 * Either the GGUF file to take, or the files of a Hugging Face model: with an index its shards come after it, by `shardsIn`.
 * Throws UsageError where the repository holds no model of ours, several GGUF files, or not the one that is named.
 */
export function chooseFiles(names: readonly string[], id: string, named: string | null): string[] {
  if (named !== null) {
    if (!named.endsWith('.gguf')) refuse(id, `expected the name of a .gguf file behind the colon, got "${named}"`);
    if (!names.includes(named)) refuse(id, `has no file "${named}": ${listOf(ggufIn(names))}`);
    return [named];
  }
  const weights = names.includes(INDEX_FILE) ? INDEX_FILE : WEIGHTS_FILE;
  if (names.includes(CONFIG_FILE) && names.includes(weights)) {
    return [CONFIG_FILE, weights, ...TEXT_FILES.filter((name) => names.includes(name))];
  }
  const files = ggufIn(names);
  if (files.length === 1) return files;
  if (files.length > 1) refuse(id, `has several GGUF files. Name one, ${id}:FILE: ${listOf(files)}`);
  return refuse(id, `holds no model: expected ${CONFIG_FILE} and ${WEIGHTS_FILE}, or a .gguf file`);
}

/** The files that an index names. Throws FormatError for an index that names none, or names that are no plain names of safetensors files. */
export function shardsIn(index: unknown, path: string): string[] {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  const values = typeof map === 'object' && map !== null ? Object.values(map) : [];
  const shards = [...new Set(values)];
  const wrong = shards.find(
    (name) => typeof name !== 'string' || !/^[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors$/.test(name),
  );
  if (shards.length === 0 || wrong !== undefined) {
    const found = shards.length === 0 ? 'none' : JSON.stringify(wrong);
    throw new FormatError('hub', `${path}: weight_map: expected names of .safetensors files, found ${found}.`, path);
  }
  return shards as string[];
}

/** Throws FormatError for a name that could lead out of the folder that it is put into, on any system. */
export function checkFileName(name: string, id: string): void {
  const parts = name.split('/');
  // A backslash and a drive separate parts on Windows; NUL and other control characters are in no honest name.
  const isPlain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\p{Cc}]/u.test(part));
  if (isPlain) return;
  throw new FormatError(
    'hub',
    `${id}: the file name ${JSON.stringify(name)} leads out of its folder. Nothing was fetched.`,
  );
}

function ggufIn(names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith('.gguf'));
}

function listOf(names: readonly string[]): string {
  return names.length === 0
    ? 'it has no .gguf file'
    : names.slice(0, 20).join(', ') + (names.length > 20 ? ', ...' : '');
}

function refuse(id: string, what: string): never {
  throw new UsageError('hub', `${id} ${what}.`);
}
