/**
 * openModelBytes: a model whose files are byte sources (Blobs of a page, a download in memory), read into a backend's memory.
 *
 * The same readers that open models on a disk; what is missing here is what cannot be without files: mapping, runs with several checkpoints, and
 * formats of several files but packed models.
 */

import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import type { ByteSource } from '../formats/byte-source.ts';
import { checkVersion } from '../formats/format-version.ts';
import { hashedTensors, type PackedReader, readPacked } from '../formats/packed-reader.ts';
import { foreignWeights } from '../import/foreign-weights.ts';
import { openGgufModel } from '../import/gguf-model.ts';
import { configOf } from '../model/checkpoint-parameters.ts';
import { readPackedWeights } from '../model/read-packed-weights.ts';
import { tokenizerOfModel } from '../tokenizer/tokenizer-of-model.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import type { TextModelParts } from './run-text-model.ts';
import type { LoadOptions } from './text-model.ts';

/** The files of one model. */
export type ModelBytes =
  | { readonly kind: 'gguf'; readonly name: string; readonly model: ByteSource }
  | {
      readonly kind: 'packed';
      readonly name: string;
      readonly config: ByteSource;
      readonly tokenizer: ByteSource;
      readonly tokenizerConfig: ByteSource | null;
      readonly model: ByteSource;
    };

/** As load-model.ts has it: hashing reads every byte, and below this size nobody notices. */
const VERIFIED_BELOW_BYTES = 64 * 2 ** 20;
/** Between two reports of progress. */
const PIECE_BYTES = 16 * 2 ** 20;
/** Far above any of these files; the largest tokenizers have 35 MB. */
const MOST_JSON_BYTES = 256 * 2 ** 20;

/** Reads it whole and leaves the sources open. Throws FormatError for what is no model of these kinds, BackendError without room. */
export async function openModelBytes(
  files: ModelBytes,
  backend: Backend,
  { onProgress, onNotice }: Pick<LoadOptions, 'onProgress' | 'onNotice'> = {},
): Promise<TextModelParts> {
  const arena = new Arena(backend);
  const model = reporting(files.model, onProgress);
  try {
    const opened =
      files.kind === 'gguf' ? openGguf(model, arena) : await openPacked({ ...files, model }, arena, onNotice);
    return { ...opened, name: files.name, bytes: arena.bytes, backend, dispose: () => arena.free() };
  } catch (error) {
    arena.free();
    throw error;
  }
}

type Opened = Pick<TextModelParts, 'config' | 'weights' | 'tokenizer'>;

function openGguf(source: ByteSource, arena: Arena): Opened {
  const foreign = openGgufModel({ ...source, close: () => {} });
  const { config, text, path } = foreign;
  const { weights } = foreignWeights(foreign, arena);
  return { config, weights, tokenizer: tokenizerOfModel({ ...text, path }) };
}

async function openPacked(
  files: Extract<ModelBytes, { kind: 'packed' }>,
  arena: Arena,
  onNotice: LoadOptions['onNotice'],
): Promise<Opened> {
  const { formatVersion, ...input } = readJson(files.config);
  checkVersion(files.config.path, formatVersion);
  const config = configOf({ path: files.name, config: input });
  const tokenizerConfig = files.tokenizerConfig && readJson(files.tokenizerConfig);
  const tokenizer = tokenizerOfModel({ tokenizer: readJson(files.tokenizer), tokenizerConfig, path: files.name });
  const model = readPacked(files.model);
  if (files.model.bytes < VERIFIED_BELOW_BYTES) await verify(model, onNotice);
  return { config, weights: readPackedWeights(model, config, arena, { mmap: false }), tokenizer };
}

async function verify(model: PackedReader, onNotice: LoadOptions['onNotice']): Promise<void> {
  // Only pages from https or this machine have it.
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) {
    onNotice?.('The weights are not compared with their hashes: this page does not come over https.');
    return;
  }
  for (const { name, byteOffset, bytes, sha256 } of hashedTensors(model)) {
    const data = new Uint8Array(bytes);
    model.read(byteOffset, data);
    const found = Array.from(new Uint8Array(await subtle.digest('SHA-256', data)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    ).join('');
    if (found === sha256) continue;
    const where = `${model.path}: tensor "${name}" at byte ${byteOffset}`;
    const what = `expected the sha256 ${sha256}, found ${found}. It is damaged: fetch it again, or convert the model again`;
    throw new FormatError('packed', `${where}: ${what}.`, model.path);
  }
}

function readJson(source: ByteSource): Record<string, unknown> {
  const { path, bytes } = source;
  const fail = (what: string): never => {
    throw new FormatError('load', `${path}: ${what}`, path);
  };
  if (bytes > MOST_JSON_BYTES) fail(`expected at most ${MOST_JSON_BYTES} bytes, found ${bytes}.`);
  const data = new Uint8Array(bytes);
  source.read(0, data);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch (error) {
    fail(`expected JSON: ${messageOf(error).replace(/\s+/g, ' ')}.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail('expected a JSON object.');
  return value as Record<string, unknown>;
}

/** The same source in pieces, each of them reported once it has been read for the first time. */
function reporting(source: ByteSource, onProgress: LoadOptions['onProgress']): ByteSource {
  let farthest = 0;
  const read = (position: number, into: Uint8Array): void => {
    for (let done = 0; done < into.length; done += PIECE_BYTES) {
      const piece = into.subarray(done, done + PIECE_BYTES);
      source.read(position + done, piece);
      if (position + done + piece.length < farthest + PIECE_BYTES && position + done + piece.length < source.bytes)
        continue;
      farthest = position + done + piece.length;
      onProgress?.({ phase: 'read', file: source.path, loadedBytes: farthest, totalBytes: source.bytes });
    }
  };
  return { path: source.path, bytes: source.bytes, read, close: () => source.close() };
}
