/**
 * Appends the records of a run to `metrics.jsonl`, one JSON object a line.
 *
 * A line goes to the system in one write, so a reader sees whole lines while the run goes on and kill -9 loses at most
 * the line being written. `flush` (before each checkpoint) makes the lines durable against a loss of power, in the order that keeps
 * metrics at least as new as the checkpoint. On resume everything behind the resumed step is cut off: those steps are run again,
 * and a curve must not have them twice.
 */

import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { FormatError, messageOf } from '../util/errors.ts';
import type { MetricsRecord } from './metrics.ts';

export class MetricsWriter {
  readonly path: string;
  readonly #file: number;

  private constructor(path: string, file: number) {
    this.path = path;
    this.#file = file;
  }

  /**
   * Opens the file for appending, after cutting off a torn last line and every record behind step `resumeStep` (0: all).
   * Throws FormatError where it cannot be written.
   */
  static open(path: string, resumeStep: number): MetricsWriter {
    return attempt(path, () => {
      const file = openSync(path, 'a+');
      ftruncateSync(file, lengthUpToStep(readFileSync(path), resumeStep));
      return new MetricsWriter(path, file);
    });
  }

  /** Appends one record; numbers that JSON cannot hold (NaN, infinities) become null. Throws FormatError. */
  write(record: MetricsRecord): void {
    attempt(this.path, () => writeSync(this.#file, `${JSON.stringify(record)}\n`));
  }

  /** Returns when everything written is on the disk. */
  flush(): void {
    attempt(this.path, () => fsyncSync(this.#file));
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}

/** Errors of the file system, a full disk above all, become FormatErrors of one line. */
function attempt<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    const reason = full ? 'the disk is full; free some space and go on with --resume' : messageOf(error);
    throw new FormatError('metrics', `cannot write ${path}: ${reason}.`, path, { cause: error });
  }
}

/** Bytes of the leading whole lines whose step is at most `step`; records are written in the order of their steps. */
function lengthUpToStep(bytes: Uint8Array, step: number): number {
  if (step === 0) return 0;
  let length = 0;
  for (;;) {
    const end = bytes.indexOf(10, length);
    if (end < 0 || !belongs(bytes.subarray(length, end), step)) return length;
    length = end + 1;
  }
}

/** Unknown types and lines without a step stay; a line that is no JSON was torn by a crash and ends the usable part. */
function belongs(line: Uint8Array, step: number): boolean {
  try {
    const record = JSON.parse(new TextDecoder().decode(line)) as { step?: unknown };
    return typeof record.step !== 'number' || record.step <= step;
  } catch {
    return false;
  }
}
