/**
 * Opens and writes the model.safetensors of a packed model, one tensor at a time; what its metadata say is packed-metadata.ts.
 *
 * The header stands in front and holds a hash of every tensor, but a hash has a fixed length: so places are known before there is any data,
 * tensors are written where they belong in whatever order they are made, and the header comes last. Tensors that are worth a page begin on one, so
 * that others can map them one by one; qsparse itself maps runs of tensors.
 */

import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { FormatError, messageOf } from '../util/errors.ts';
import {
  encodePackedMetadata,
  isPadding,
  PACKED_ALIGNMENT,
  type PackedDescription,
  paddingName,
  parsePackedMetadata,
} from './packed-metadata.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';
import { encodeHeader, type TensorInfo } from './safetensors-header.ts';

/** The smallest page of the systems that qsparse runs on. */
const PAGE_BYTES = 4096;
const PAGE_ALIGNED_FROM_BYTES = 16 * PAGE_BYTES;
/** Small enough to stay in a cache between reading and hashing. */
const HASH_PIECE_BYTES = 1 << 20;

export interface PackedFile extends SafetensorsFile, PackedDescription {
  /** Reads a tensor and compares its hash. Throws FormatError where they differ; padding always passes. */
  verify(name: string): void;
}

/** Opens a file and checks its header and metadata; of the weights nothing is read. `close` it. Throws FormatError. */
export function openPacked(path: string): PackedFile {
  const file = openSafetensors(path);
  try {
    const description = parsePackedMetadata(file, path);
    return { ...file, ...description, verify: (name) => verify(file, description, name) };
  } catch (error) {
    file.close();
    throw error;
  }
}

function verify(file: SafetensorsFile, { sha256 }: PackedDescription, name: string): void {
  const info = file.tensors.get(name);
  if (info === undefined || isPadding(name)) return;
  const hash = createHash('sha256');
  const piece = new Uint8Array(Math.min(HASH_PIECE_BYTES, info.bytes));
  for (let done = 0; done < info.bytes; done += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, info.bytes - done));
    file.read(info.byteOffset + done, part);
    hash.update(part);
  }
  const [expected, found] = [sha256.get(name), hash.digest('hex')];
  if (expected === found) return;
  const where = `${file.path}: tensor "${name}" at byte ${info.byteOffset}`;
  const what = `expected the sha256 ${expected}, found ${found}. It is damaged: copy it again, or convert the model again`;
  throw new FormatError('packed', `${where}: ${what}.`, file.path);
}

export type PlannedTensor = Pick<TensorInfo, 'name' | 'dtype' | 'shape' | 'bytes'>;

export interface PackedWriter {
  /** Size of the finished file. */
  readonly fileBytes: number;
  /** Writes the bytes of a planned tensor, once. Throws FormatError. */
  write(name: string, data: Uint8Array): void;
  /** Writes the header, when every tensor is there. Throws FormatError. */
  finish(): void;
  close(): void;
}

/** Starts a file (not atomically: see atomic-write.ts) of `tensors` in this order. Throws FormatError. */
export function createPacked(
  path: string,
  tensors: readonly PlannedTensor[],
  description: Omit<PackedDescription, 'sha256'>,
): PackedWriter {
  const planned = withPadding(tensors);
  const hashes = new Map(tensors.map(({ name }) => [name, '0'.repeat(64)]));
  const header = () =>
    encodeHeader(planned, encodePackedMetadata({ ...description, sha256: hashes }), path, PAGE_BYTES);
  const places = new Map<string, { position: number; bytes: number }>();
  let fileBytes = header().length;
  for (const { name, bytes } of planned) {
    if (!isPadding(name)) places.set(name, { position: fileBytes, bytes });
    fileBytes += bytes;
  }
  const file = attempt(path, () => openSync(path, 'w'));
  return {
    fileBytes,
    write(name, data) {
      const place = places.get(name);
      if (place?.bytes !== data.length) {
        throw new FormatError(
          'packed',
          `${path}: tensor "${name}": expected ${place?.bytes} bytes, got ${data.length}.`,
          path,
        );
      }
      attempt(path, () => writeAt(file, data, place.position));
      hashes.set(name, sha256Of(data));
      places.delete(name);
    },
    finish() {
      if (places.size > 0)
        throw new FormatError('packed', `${path}: not written: ${[...places.keys()].join(', ')}.`, path);
      attempt(path, () => writeAt(file, header(), 0));
    },
    close: () => closeSync(file),
  };
}

function sha256Of(data: Uint8Array): string {
  const hash = createHash('sha256');
  // One call takes less than 2 GiB.
  for (let done = 0; done < data.length; done += 2 ** 30) hash.update(data.subarray(done, done + 2 ** 30));
  return hash.digest('hex');
}

/** The tensors with what fills the gaps before them: the format allows none. */
function withPadding(tensors: readonly PlannedTensor[]): PlannedTensor[] {
  const planned: PlannedTensor[] = [];
  let end = 0;
  for (const [index, tensor] of tensors.entries()) {
    const alignment = tensor.bytes >= PAGE_ALIGNED_FROM_BYTES ? PAGE_BYTES : PACKED_ALIGNMENT;
    const gap = Math.ceil(end / alignment) * alignment - end;
    if (gap > 0) planned.push({ name: paddingName(index), dtype: 'U8', shape: [gap], bytes: gap });
    planned.push(tensor);
    end += gap + tensor.bytes;
  }
  return planned;
}

/** One call may move less than asked (Linux stops at 2 GiB). */
function writeAt(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}

/** Errors of the file system become FormatErrors of one line. */
function attempt<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new FormatError('packed', `cannot write ${path}: ${messageOf(error)}.`, path, { cause: error });
  }
}
