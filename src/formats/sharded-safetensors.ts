/**
 * The tensors of a Hugging Face directory, model.safetensors or several files with model.safetensors.index.json, under one roof.
 *
 * Owns the index and its checks: it names each tensor's file, which must be a plain name in the same directory, and hold that tensor. The
 * files themselves are safetensors.ts. As in `transformers` the single file wins where both are there.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import { MODEL_FILE } from './model-files.ts';
import { readWholeFile } from './read-whole-file.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';
import { MAX_HEADER_BYTES, parseJsonObject, type TensorInfo } from './safetensors-header.ts';

/** A tensor and the file that it lies in. */
export interface PlacedTensor extends TensorInfo {
  readonly file: SafetensorsFile;
}

export interface ShardedSafetensors {
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  /** Of all tensors together. */
  readonly bytes: number;
  /** Closes all files. */
  close(): void;
}

const INDEX_FILE = `${MODEL_FILE}.index.json`;
/** Published models have up to 200; each is an open file. */
const MOST_FILES = 1000;
const OTHER_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'tf_model.h5', 'flax_model.msgpack'];

/** Opens all files of a directory and checks their headers. Close it. Throws FormatError. */
export function openShardedSafetensors(directory: string): ShardedSafetensors {
  const single = join(directory, MODEL_FILE);
  const files: SafetensorsFile[] = [];
  const close = () => {
    for (const file of files) file.close();
  };
  try {
    if (existsSync(single)) {
      const file = openSafetensors(single);
      files.push(file);
      return setOf(
        [...file.tensors.values()].map((info) => ({ ...info, file })),
        close,
      );
    }
    return setOf(openShards(directory, files), close);
  } catch (error) {
    close();
    throw error;
  }
}

function setOf(tensors: readonly PlacedTensor[], close: () => void): ShardedSafetensors {
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), bytes, close };
}

/** The tensors that the index names; every file that is opened is added to `files`. */
function openShards(directory: string, files: SafetensorsFile[]): PlacedTensor[] {
  const path = join(directory, INDEX_FILE);
  const shardOf = readIndex(directory, path);
  const names = [...new Set(shardOf.values())];
  if (names.length > MOST_FILES) fail(path, `weight_map: expected at most ${MOST_FILES} files, found ${names.length}.`);
  const opened = new Map<string, SafetensorsFile>();
  for (const name of names) {
    const file = openSafetensors(join(directory, name));
    files.push(file);
    opened.set(name, file);
  }
  return [...shardOf].map(([tensor, name]) => {
    const file = opened.get(name)!;
    const info = file.tensors.get(tensor);
    if (info === undefined) {
      fail(path, `weight_map: expected the tensor ${shown(tensor)} in ${name}, which does not hold it.`);
    }
    return { ...info, file };
  });
}

/** The name of the file of each tensor. */
function readIndex(directory: string, path: string): Map<string, string> {
  const bytes = readWholeFile(path, MAX_HEADER_BYTES, 'safetensors');
  if (bytes === null) {
    const other = OTHER_WEIGHTS.find((name) => existsSync(join(directory, name)));
    const instead = other ? ` There is ${other}: save the model as safetensors with transformers.` : '';
    fail(directory, `expected ${MODEL_FILE} or ${INDEX_FILE}, found neither.${instead}`);
  }
  const { weight_map: map } = parseJsonObject(new TextDecoder().decode(bytes), 'an index', 'at byte 0', path);
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    fail(path, `weight_map: expected an object with the file of each tensor, found ${shown(map)}.`);
  }
  for (const [tensor, name] of Object.entries(map)) {
    if (isPlainName(name)) continue;
    const expected = 'expected the name of a .safetensors file in the same directory';
    fail(path, `weight_map: ${shown(tensor)}: ${expected}, found ${shown(name)}.`);
  }
  return new Map(Object.entries(map as Record<string, string>));
}

/** No name may lead out of the directory, or to a file of another kind. */
function isPlainName(name: unknown): name is string {
  return typeof name === 'string' && /^[^/\\:\0]+\.safetensors$/.test(name);
}

function fail(path: string, message: string): never {
  throw new FormatError('safetensors', `${path}: ${message}`, path);
}
