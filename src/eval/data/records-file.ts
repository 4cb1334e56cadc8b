/**
 * The saved records of an evaluation: JSON Lines, appended as items are complete, so that a run which is stopped, killed or continued with
 * more tasks loses nothing that was computed.
 *
 * The first line says which model the numbers are of; a file of another one is refused, never mixed into. The last line of a process that was killed
 * may be half a record: it is cut off. Everything else that cannot be read is an error.
 */

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { FormatError, messageOf, UsageError } from '../../util/errors.ts';
import type { EvalRecord, RecordStore } from '../evaluate.ts';

const FORMAT = 'qsparse-eval';
/** Counts up when what an older one says of its model no longer suffices. */
const VERSION = 2;

export class RecordsFile implements RecordStore {
  readonly path: string;
  readonly #known = new Map<string, EvalRecord>();
  readonly #file: number;

  /** Opens the file, or makes it. `model` identifies what the records are of. Throws UsageError for a file of another model, FormatError for one that is none of ours. */
  constructor(path: string, model: object) {
    this.path = path;
    const header = JSON.stringify({ [FORMAT]: VERSION, model });
    const hasHeader = existsSync(path) && this.#read(header);
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#file = openSync(path, 'a');
    } catch (error) {
      throw this.#writeFailure(error);
    }
    if (!hasHeader) this.#append(header);
  }

  /** Records that were there or have been added. */
  get size(): number {
    return this.#known.size;
  }

  find(key: Pick<EvalRecord, 'task' | 'sparsity' | 'item' | 'sha256'>): EvalRecord | undefined {
    return this.#known.get(keyOf(key));
  }

  add(record: EvalRecord): void {
    this.#append(JSON.stringify(record));
    this.#known.set(keyOf(record), record);
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }

  /** false where there is nothing. */
  #read(header: string): boolean {
    const text = readFileSync(this.path, 'utf8');
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    const [first = '', ...lines] = complete.split('\n').slice(0, -1);
    if (complete === '' && isStartOf(text, header)) {
      if (text !== '') truncateSync(this.path, 0);
      return false;
    }
    this.#checkHeader(first, header);
    for (const [i, line] of lines.entries()) {
      const record = this.#parse(line, i + 2) as Partial<EvalRecord>;
      if (typeof record.task !== 'string' || typeof record.sha256 !== 'string' || !Number.isInteger(record.item)) {
        this.#refuse(`line ${i + 2} is no record: expected task, item and sha256`);
      }
      this.#known.set(keyOf(record as EvalRecord), record as EvalRecord);
    }
    if (complete !== text) truncateSync(this.path, Buffer.byteLength(complete));
    return true;
  }

  #checkHeader(line: string, header: string): void {
    const found = this.#parse(line, 1);
    if (found[FORMAT] === undefined) this.#refuse('its first line is not that of saved evaluations');
    if (found[FORMAT] === 1) this.#refuse('it is of version 1, which says nothing of the weights that were evaluated');
    if (found[FORMAT] !== VERSION) this.#refuse(`expected version ${VERSION}, got ${JSON.stringify(found[FORMAT])}`);
    if (line === header) return;
    const models = differences(found.model, this.#parse(header, 1).model);
    throw new UsageError('--out', `${this.path} belongs to another model: ${models}. Choose another file.`);
  }

  #parse(line: string, number: number): Record<string, unknown> {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // Said below, for whatever is no object.
    }
    return this.#refuse(`line ${number} is no JSON object`);
  }

  #append(line: string): void {
    try {
      const bytes = Buffer.from(`${line}\n`);
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      throw this.#writeFailure(error);
    }
  }

  #writeFailure(error: unknown): FormatError {
    return new FormatError(
      'save',
      `cannot write ${this.path}: ${messageOf(error)}. What is in it is intact.`,
      this.path,
      {
        cause: error,
      },
    );
  }

  #refuse(what: string): never {
    throw new FormatError('save', `${this.path} cannot be added to: ${what}. Choose another file.`, this.path);
  }
}

/** The fields in which two identities differ, with both values. */
function differences(found: unknown, expected: unknown): string {
  const [theirs, ours] = [found, expected].map((one) => new Map(Object.entries({ ...(one as object) })));
  const lines = [...new Set([...ours.keys(), ...theirs.keys()])].flatMap((name) => {
    const [wanted, got] = [ours, theirs].map((of) => JSON.stringify(of.get(name)) ?? 'none');
    return wanted === got ? [] : `${name}: expected ${wanted}, found ${got}`;
  });
  return lines.join('; ');
}

function isStartOf(text: string, header: string): boolean {
  return header.startsWith(text) || text === header;
}

function keyOf({ task, sparsity, item, sha256 }: Pick<EvalRecord, 'task' | 'sparsity' | 'item' | 'sha256'>): string {
  return `${task} ${sparsity} ${item} ${sha256}`;
}
