/**
 * ByteSource: bytes at positions, of an open file (open-byte-source.ts), a Blob in a browser or memory, and a cursor that reads little-endian numbers
 * one behind the other.
 *
 * For parsers of binary headers: the cursor keeps a window of the file, so that a header of any size is read in large pieces and nothing is
 * allocated for a length before the file is known to be that long.
 */

import { FormatError } from '../util/errors.ts';

export interface ByteSource {
  /** For messages. */
  readonly path: string;
  /** How many there are. */
  readonly bytes: number;
  /** Fills `into` with those from `position` on. Throws FormatError where the source ends before, or cannot be read. */
  read(position: number, into: Uint8Array): void;
  close(): void;
}

/** Bytes in memory; `path` is for messages. */
export function memorySource(bytes: Uint8Array, path: string): ByteSource {
  const read = (position: number, into: Uint8Array): void => {
    expectInside(path, bytes.length, position, into.length);
    into.set(bytes.subarray(position, position + into.length));
  };
  return { path, bytes: bytes.length, read, close: () => {} };
}

/** Throws FormatError where a source of `bytes` bytes ends before `count` from `position` on. */
export function expectInside(path: string, bytes: number, position: number, count: number): void {
  if (position + count <= bytes) return;
  const expected = `${position + count - bytes} more bytes`;
  throw new FormatError('load', `${path}: ends at byte ${bytes}: expected ${expected}.`, path);
}

/** Large enough that reading is cheap, small enough to be nothing beside a model. */
const WINDOW_BYTES = 2 ** 18;

export class ByteCursor {
  /** Of the next byte. */
  position = 0;
  readonly #source: ByteSource;
  readonly #limit: number;
  readonly #window: Uint8Array;
  readonly #view: DataView;
  #first = 0;
  #end = 0;

  /** Reads nothing from byte `limit` on. */
  constructor(source: ByteSource, limit: number) {
    this.#source = source;
    this.#limit = Math.min(limit, source.bytes);
    this.#window = new Uint8Array(Math.min(WINDOW_BYTES, this.#limit));
    this.#view = new DataView(this.#window.buffer);
  }

  /** Bytes that can still be read. */
  get left(): number {
    return this.#limit - this.position;
  }

  /** Whether `left` is what is left of the file, rather than of the limit. */
  get endsWithFile(): boolean {
    return this.#limit === this.#source.bytes;
  }

  /** The next `count` bytes, at most `left`; valid until the next call. */
  take(count: number): Uint8Array {
    if (count > this.#window.length) {
      const bytes = new Uint8Array(count);
      this.#source.read(this.position, bytes);
      this.position += count;
      return bytes;
    }
    const at = this.#place(count);
    return this.#window.subarray(at, at + count);
  }

  /** A number of `bytes` bytes, at most `left`, as `read` takes it out of a view of the file. */
  number<T>(bytes: number, read: (view: DataView, at: number) => T): T {
    return read(this.#view, this.#place(bytes));
  }

  /** Where in the window the next `count` bytes begin; steps over them. */
  #place(count: number): number {
    if (this.position < this.#first || this.position + count > this.#end) {
      this.#first = this.position;
      this.#end = Math.min(this.position + this.#window.length, this.#limit);
      this.#source.read(this.#first, this.#window.subarray(0, this.#end - this.#first));
    }
    const at = this.position - this.#first;
    this.position += count;
    return at;
  }
}
