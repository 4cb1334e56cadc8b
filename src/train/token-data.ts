/**
 * Batches of token windows from the files of `prepare-token-data.ts`.
 *
 * A training batch is a pure function of (seed, step, row): a resumed run needs no position. The training tokens are a ring;
 * an epoch cuts it into non-overlapping windows from a random phase and visits them in a random order, by a Feistel
 * network over the window numbers, which takes no memory. Small files are kept in memory, large ones are read window by window.
 */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, UsageError } from '../util/errors.ts';
import { hash32 } from '../util/prng.ts';
import type { PartInfo, TokenDataInfo } from './prepare-token-data.ts';
import { readTokenDataInfo } from './prepare-token-data.ts';

/** Larger files stay on the disk: the page cache serves them nearly as fast. */
const MAX_BYTES_IN_MEMORY = 2 ** 28;
/** What a target is where nothing is to be predicted; its loss is 0. */
const NO_TARGET = -1;

export interface TokenBatch {
  /** [batchSize * seqLen], row by row. */
  ids: Int32Array;
  /** [batchSize * seqLen]; -1 where there is nothing to predict. */
  targets: Int32Array;
  /** [batchSize * seqLen]: where in its row the text of each token begins; left out where a row is one text. */
  starts?: Int32Array;
}

export class TokenData {
  readonly info: TokenDataInfo;
  readonly #seed: number;
  readonly #train: TokenFile;
  readonly #validation: TokenFile;

  /**
   * Opens a prepared directory; `seed` (default: that of the split) orders the batches, files of up to `memoryBytes` are
   * read into memory. Throws FormatError.
   */
  constructor(directory: string, seed?: number, memoryBytes = MAX_BYTES_IN_MEMORY) {
    this.info = readTokenDataInfo(directory);
    const { train, validation, idBytes, vocabSize } = this.info;
    const open = (name: string, { tokens }: PartInfo) =>
      new TokenFile(join(directory, name), { idBytes, vocabSize, inMemory: tokens * idBytes <= memoryBytes });
    this.#seed = seed ?? this.info.seed;
    this.#train = open('train.bin', train);
    this.#validation = open('validation.bin', validation);
  }

  get trainTokens(): number {
    return this.info.train.tokens;
  }

  get trainBytes(): number {
    return this.info.train.bytes;
  }

  get validationTokens(): number {
    return this.info.validation.tokens;
  }

  get validationBytes(): number {
    return this.info.validation.bytes;
  }

  /**
   * Writes batch number `step` (from 0): row r is window step * batchSize + r of the endless sequence of epochs; its
   * targets are its ids one further. ids and targets hold batchSize * seqLen.
   * Throws UsageError where the text is shorter than one window and its last target.
   */
  batch(step: number, batchSize: number, seqLen: number, ids: Int32Array, targets: Int32Array): void {
    this.#checkLength(seqLen);
    const windows = Math.floor(this.trainTokens / seqLen);
    const scratch = new Int32Array(seqLen + 1);
    for (let row = 0; row < batchSize; row++) {
      const number = step * batchSize + row;
      const epoch = Math.floor(number / windows);
      const phase = hash32(this.#seed, epoch) % this.trainTokens;
      const window = permute(number % windows, windows, hash32(epoch, this.#seed));
      const start = (phase + window * seqLen) % this.trainTokens;
      const beforeWrap = Math.min(seqLen + 1, this.trainTokens - start);
      this.#train.read(start, scratch.subarray(0, beforeWrap));
      this.#train.read(0, scratch.subarray(beforeWrap));
      ids.set(scratch.subarray(0, seqLen), row * seqLen);
      targets.set(scratch.subarray(1), row * seqLen);
    }
  }

  /**
   * Validation windows in order, without overlap: all of them, or about `maxTokens` of them spread evenly over the
   * text. Always the same for the same arguments; what is missing in the last batch has targets of -1. Nothing where
   * validation has fewer than two tokens.
   */
  *validationBatches(batchSize: number, seqLen: number, maxTokens = Number.POSITIVE_INFINITY): Generator<TokenBatch> {
    const targets = this.validationTokens - 1;
    const windows = Math.ceil(targets / seqLen);
    const used = Math.min(windows, Math.max(1, Math.ceil(maxTokens / seqLen)));
    for (let first = 0; first < used; first += batchSize) {
      const batch = {
        ids: new Int32Array(batchSize * seqLen),
        targets: new Int32Array(batchSize * seqLen).fill(NO_TARGET),
      };
      for (let row = 0; row < Math.min(batchSize, used - first); row++) {
        const start = Math.floor(((first + row) * windows) / used) * seqLen;
        const count = Math.min(seqLen, targets - start);
        const scratch = new Int32Array(count + 1);
        this.#validation.read(start, scratch);
        batch.ids.set(scratch.subarray(0, count), row * seqLen);
        batch.targets.set(scratch.subarray(1), row * seqLen);
      }
      yield batch;
    }
  }

  close(): void {
    this.#train.close();
    this.#validation.close();
  }

  #checkLength(seqLen: number): void {
    if (this.trainTokens > seqLen) return;
    const what = `the training text is too short: expected at least ${seqLen + 1} tokens, found ${this.trainTokens}`;
    throw new UsageError('data', `${what}. Give more text or a smaller --seq-len.`);
  }
}

/** The ids of one file, in memory or read from the disk at their place. */
class TokenFile {
  readonly #path: string;
  readonly #vocabSize: number;
  readonly #idBytes: 2 | 4;
  #file: number | undefined;
  readonly #memory: Uint16Array | Uint32Array | undefined;

  constructor(path: string, options: { idBytes: 2 | 4; vocabSize: number; inMemory: boolean }) {
    this.#path = path;
    this.#idBytes = options.idBytes;
    this.#vocabSize = options.vocabSize;
    if (options.inMemory) this.#memory = this.#asIds(new Uint8Array(readFileSync(path)));
    else this.#file = openSync(path, 'r');
  }

  /** Fills `out` with the ids from position `start` on. Throws FormatError for an id outside the vocabulary. */
  read(start: number, out: Int32Array): void {
    if (out.length === 0) return;
    const ids = this.#memory?.subarray(start, start + out.length) ?? this.#readFile(start, out.length);
    for (let i = 0; i < out.length; i++) {
      if (ids[i] >= this.#vocabSize) this.#fail(start + i, `expected ids below ${this.#vocabSize}, found ${ids[i]}`);
    }
    out.set(ids);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #readFile(start: number, count: number): Uint16Array | Uint32Array {
    const bytes = new Uint8Array(count * this.#idBytes);
    for (let done = 0; done < bytes.length; ) {
      const read = readSync(this.#file!, bytes, done, bytes.length - done, start * this.#idBytes + done);
      if (read === 0) this.#fail(start, 'the file has become shorter');
      done += read;
    }
    return this.#asIds(bytes);
  }

  #asIds(bytes: Uint8Array): Uint16Array | Uint32Array {
    return this.#idBytes === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  }

  #fail(position: number, what: string): never {
    const where = `${this.#path} at byte ${position * this.#idBytes}`;
    throw new FormatError('data', `${where}: ${what}. Delete its directory to prepare the data again.`, this.#path);
  }
}

/**
 * A permutation of 0 .. size - 1 that depends on a key: four Feistel rounds over the smallest even number of bits that holds
 * size, repeated until the value is in range (cycle walking; below four tries on average). size is at most 2^32.
 */
export function permute(value: number, size: number, key: number): number {
  let halfBits = 1;
  while (2 ** (2 * halfBits) < size) halfBits++;
  const mask = 2 ** halfBits - 1;
  let result = value;
  do {
    let left = Math.floor(result / 2 ** halfBits);
    let right = result % 2 ** halfBits;
    for (let round = 0; round < 4; round++) [left, right] = [right, left ^ (hash32(key, round, right) & mask)];
    result = left * 2 ** halfBits + right;
  } while (result >= size);
  return result;
}
