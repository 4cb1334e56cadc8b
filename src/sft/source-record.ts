/** What a file of conversations is divided into. */
export interface SourceRecord {
  /** Of the line that it begins in, from 1. */
  readonly line: number;
  /** Without what separates it from others; null where it is longer than the bound. */
  readonly bytes: Buffer | null;
  /** Of all of it. */
  readonly length: number;
}

/** The bytes of a record, which come in pieces of blocks: kept up to a bound and only counted beyond it. */
export class RecordBytes {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Of all that was added. */
  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    this.#length += piece.length;
    // A copy: the block is overwritten by the next one.
    if (this.#length <= this.#maxBytes) this.#parts.push(Buffer.from(piece));
    else this.#parts = [];
  }

  /** What was added, null where that is more than the bound; the next begins empty. */
  take(): Omit<SourceRecord, 'line'> {
    const taken = {
      bytes: this.#length <= this.#maxBytes ? Buffer.concat(this.#parts) : null,
      length: this.#length,
    };
    this.#parts = [];
    this.#length = 0;
    return taken;
  }
}
