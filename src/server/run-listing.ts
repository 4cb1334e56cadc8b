/**
 * RunListing: the training runs under one folder, for a page that shows them while they train.
 *
 * Runs are found by walking the folder, never by a name from outside: a client gets ids, hashes of paths, and an id that is not in the
 * present list is no run. Metrics are given as their bytes from a place on, whole lines only, so that a reader who comes again for what
 * is new never sees half a record.
 */

import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { ListedRun } from './page-answers.ts';

export interface MetricsPart {
  readonly text: string;
  /** Where the next part begins. */
  readonly next: number;
}

/** Folders inside folders are looked through to this depth, and so many at most. */
const DEEPEST = 3;
const MOST_FOLDERS = 2000;
const MOST_PART_BYTES = 4 * 2 ** 20;
const TAIL_BYTES = 64 * 2 ** 10;
const LIVE_MS = 60_000;

export class RunListing {
  readonly #folder: string;
  /** Of the last list: metrics files by id. */
  #files = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The newest first. */
  async list(): Promise<ListedRun[]> {
    const files = await metricsFilesIn(this.#folder);
    this.#files = new Map(files.map((file) => [idOf(file), file]));
    const runs = await Promise.all(files.map((file) => this.#describe(file)));
    return runs.filter((run) => run !== null).sort((a, b) => ((b.startedAt ?? '') < (a.startedAt ?? '') ? -1 : 1));
  }

  /** Whole lines from byte `from` on, at most 4 MiB of them; null for an id that is none, and for a run that is gone. */
  async metrics(id: string, from: number): Promise<MetricsPart | null> {
    if (!this.#files.has(id)) await this.list();
    const file = this.#files.get(id);
    if (file === undefined) return null;
    try {
      return await withFile(file, async (handle) => {
        const { size } = await handle.stat();
        // A file that is shorter than what was read of it is another file.
        const begin = from > size ? 0 : from;
        const bytes = await readAt(handle, begin, Math.min(size - begin, MOST_PART_BYTES));
        const end = bytes.lastIndexOf(10) + 1;
        return { text: bytes.subarray(0, end).toString('utf8'), next: begin + end };
      });
    } catch {
      return null; // it went away, or may not be read
    }
  }

  async #describe(file: string): Promise<ListedRun | null> {
    try {
      return await withFile(file, async (handle) => {
        const { size, mtimeMs } = await handle.stat();
        const first = recordsOf(await readAt(handle, 0, Math.min(size, TAIL_BYTES)))[0] ?? {};
        const last = recordsOf(await readAt(handle, Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES)));
        const steps = last.map(({ step }) => step).filter((step) => typeof step === 'number');
        const step = Math.max(0, ...steps);
        const train = (typeof first.train === 'object' && first.train !== null ? first.train : {}) as Json;
        const maxSteps = typeof train.steps === 'number' ? train.steps : null;
        return {
          id: idOf(file),
          name: path.relative(this.#folder, path.dirname(file)) || path.basename(path.dirname(file)),
          startedAt: typeof first.startedAt === 'string' ? first.startedAt : null,
          isLive: Date.now() - mtimeMs < LIVE_MS && (maxSteps === null || step < maxSteps),
          step,
          maxSteps,
        };
      });
    } catch {
      return null; // it went away, or may not be read
    }
  }
}

type Json = Record<string, unknown>;

const idOf = (file: string) => createHash('sha256').update(file).digest('hex').slice(0, 16);

async function metricsFilesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  let folders = [folder];
  let seen = 0;
  for (let depth = 0; depth <= DEEPEST && folders.length > 0; depth++) {
    const below: string[] = [];
    for (const one of folders) {
      if (++seen > MOST_FOLDERS) return files;
      const entries = await readdir(one, { withFileTypes: true }).catch(() => []);
      if (entries.some((entry) => entry.isFile() && entry.name === 'metrics.jsonl')) {
        files.push(path.join(one, 'metrics.jsonl'));
        continue; // what lies in a run is the run's
      }
      for (const entry of entries) if (entry.isDirectory()) below.push(path.join(one, entry.name));
    }
    folders = below;
  }
  return files;
}

async function withFile<T>(file: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(file, 'r');
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/** The records of whole lines; what is cut off at either end is none. */
function recordsOf(bytes: Buffer): Json[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        const value: unknown = JSON.parse(line);
        return typeof value === 'object' && value !== null ? [value as Json] : [];
      } catch {
        return [];
      }
    });
}
