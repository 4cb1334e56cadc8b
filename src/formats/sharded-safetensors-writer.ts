/**
 * Writes the tensors of a model as Hugging Face does: one model.safetensors, or several files and an index where that one would be too large.
 *
 * Names, types and shapes are told first, so that headers stand in front; then the bytes come in the same order, in pieces of any size, and
 * go to the disk at once. Source: huggingface_hub, serialization/_base.py (names of the files, contents of the index).
 */

import { join } from 'node:path';
import { FormatError } from '../util/errors.ts';
import { MODEL_FILE, writeJsonFile } from './model-files.ts';
import { encodeHeader, type TensorInfo } from './safetensors-header.ts';
import { createSequentialFile, type SequentialFile } from './sequential-file.ts';

export type ShardedTensor = Pick<TensorInfo, 'name' | 'dtype' | 'shape' | 'bytes'>;

/** What loaders look for in the header of a file with PyTorch's layouts. */
const METADATA = { format: 'pt' };
const INDEX_FILE = 'model.safetensors.index.json';

export interface ShardedWriter {
  /** Names of the files that hold tensors. */
  readonly files: readonly string[];
  /** Appends bytes of the tensors, in their order. Throws FormatError for more bytes than were told, and where writing fails. */
  write(piece: Uint8Array): void;
  /** Throws FormatError where bytes are missing; writes the index. */
  finish(): void;
  close(): void;
}

/** Starts the files in `directory`. A tensor larger than `maxShardBytes` has a file of its own. Throws FormatError. */
export function createShards(
  directory: string,
  tensors: readonly ShardedTensor[],
  maxShardBytes: number,
): ShardedWriter {
  const shards = divide(tensors, maxShardBytes);
  const files = shards.map((_, i) => fileName(i, shards.length));
  const ends = shards.map((shard) => shard.reduce((sum, { bytes }) => sum + bytes, 0));
  const headers = shards.map((shard, i) => encodeHeader(shard, METADATA, join(directory, files[i])));
  const fail = (what: string): never => {
    throw new FormatError('safetensors', `${directory}: ${what}.`, directory);
  };
  let current = -1;
  let file: SequentialFile | undefined;
  const next = () => {
    file?.close();
    current++;
    file = createSequentialFile(join(directory, files[current]), 'safetensors');
    file.append(headers[current]);
  };
  const left = () => (file === undefined ? 0 : headers[current].length + ends[current] - file.bytes);
  next();
  return {
    files,
    write(piece) {
      while (piece.length > 0) {
        while (left() === 0) {
          if (current + 1 === shards.length) fail(`expected no more bytes, got ${piece.length}`);
          next();
        }
        const part = piece.subarray(0, left());
        file!.append(part);
        piece = piece.subarray(part.length);
      }
    },
    finish() {
      while (left() === 0 && current + 1 < shards.length && ends[current + 1] === 0) next();
      if (left() > 0 || current + 1 < shards.length) fail(`${left()} bytes of ${files[current]} were not written`);
      if (shards.length > 1) writeIndex(directory, shards, files, ends);
    },
    close: () => file?.close(),
  };
}

/** Runs of tensors that fit into one file each. */
function divide(tensors: readonly ShardedTensor[], maxShardBytes: number): ShardedTensor[][] {
  const shards: ShardedTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (shards[shards.length - 1].length > 0 && bytes + tensor.bytes > maxShardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(tensor);
    bytes += tensor.bytes;
  }
  return shards;
}

function fileName(index: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return count === 1 ? MODEL_FILE : `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function writeIndex(
  directory: string,
  shards: readonly ShardedTensor[][],
  files: readonly string[],
  bytes: readonly number[],
): void {
  const places = shards.flatMap((shard, i) => shard.map(({ name }): [string, string] => [name, files[i]]));
  const total_size = bytes.reduce((sum, one) => sum + one, 0);
  writeJsonFile(join(directory, INDEX_FILE), { metadata: { total_size }, weight_map: Object.fromEntries(places) });
}
