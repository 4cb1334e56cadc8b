/**
 * The files that were fetched, kept in the private file system of the page's origin (OPFS) for the next visit.
 *
 * A file is two: its bytes, and beside them a note with the URL, the size and what the server called this version of it. The note is written last, so
 * that what was not fetched to its end is not there. An entry counts while the server tells the same version; where no server answers, as it is.
 * The browser may throw all of it away when the disk is full, and so may the user: `cachedFiles`, `removeCachedFile`.
 */

import { messageOf } from '../util/errors.ts';
import { browser, type DirectoryHandle, type SyncAccess } from './browser-globals.ts';

const FOLDER = 'qsparse';
const NOTE_SUFFIX = '.json';

/** What a server tells of a file. */
export interface FileVersion {
  readonly bytes: number | null;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

export interface CachedFile {
  readonly url: string;
  readonly bytes: number;
  /** As `Date.now()`. */
  readonly savedAt: number;
}

type Note = CachedFile & {
  readonly version: FileVersion;
  /** The server has no such file: known for a visit without it. */
  readonly isMissing: boolean;
};

export interface Found {
  /** null: the server had no such file. */
  readonly blob: Blob | null;
  readonly version: FileVersion;
}

const UNKNOWN: FileVersion = { bytes: null, etag: null, lastModified: null };

/** Every file in the cache of this origin. Empty where the browser has none. */
export async function cachedFiles(): Promise<CachedFile[]> {
  const folder = await openFolder(false);
  if (folder === null) return [];
  const files: CachedFile[] = [];
  for await (const { name } of folder.values()) {
    const note = name.endsWith(NOTE_SUFFIX) ? await readNote(folder, name) : null;
    if (note !== null && !note.isMissing) files.push({ url: note.url, bytes: note.bytes, savedAt: note.savedAt });
  }
  return files.sort((a, b) => a.url.localeCompare(b.url));
}

/** Forgets a file; without a URL all of them. What a model that is loaded now was read from stays loaded. */
export async function removeCachedFile(url?: string): Promise<void> {
  const folder = await openFolder(false);
  if (folder === null) return;
  const names: string[] = [];
  if (url === undefined) for await (const { name } of folder.values()) names.push(name);
  else names.push(...namesOf(await keyOf(url)));
  // Notes first: bytes without a note are no entry.
  for (const name of names.sort((a, b) => Number(b.endsWith(NOTE_SUFFIX)) - Number(a.endsWith(NOTE_SUFFIX)))) {
    await folder.removeEntry(name).catch(() => {});
  }
}

/** Whether a server's file can be told from a later version of it: one of the same size is the usual case, a model that was trained on. */
export function canBeCached({ etag, lastModified }: FileVersion): boolean {
  return etag !== null || lastModified !== null;
}

/** The cache for reading and writing, in a Worker. */
export class ModelCache {
  readonly #folder: DirectoryHandle;

  private constructor(folder: DirectoryHandle) {
    this.#folder = folder;
  }

  /**
   * Frees the room of files that were not fetched to their end: a Worker that is ended has no chance to. Rejects where the browser has no such file system, or not for this
   * page.
   */
  static async open(): Promise<ModelCache> {
    const folder = await openFolder(true);
    if (folder === null) throw new Error('this browser has no private file system, or not for this page');
    await removeUnfinished(folder);
    return new ModelCache(folder);
  }

  /** What is kept of a URL; null for nothing. */
  async find(url: string): Promise<Found | null> {
    const [data, name] = namesOf(await keyOf(url));
    const note = await readNote(this.#folder, name);
    if (note === null || note.url !== url) return null;
    if (note.isMissing) return { blob: null, version: UNKNOWN };
    try {
      const blob = await (await this.#folder.getFileHandle(data)).getFile();
      return blob.size === note.bytes ? { blob, version: note.version } : null;
    } catch {
      return null;
    }
  }

  /**
   * Begins to write a file; what was there under this URL is gone. Rejects where another page writes it. `onProblem` is told why a whole file cannot be
   * noted: it is there for this visit only.
   */
  async write(url: string, version: FileVersion, onProblem: (error: unknown) => void): Promise<CacheWriter> {
    const [data, name] = namesOf(await keyOf(url));
    await this.#folder.removeEntry(name).catch(() => {});
    const handle = await this.#folder.getFileHandle(data, { create: true });
    const access = await handle.createSyncAccessHandle();
    access.truncate(0);
    return new CacheWriter(access, async (bytes) => {
      const note = { url, bytes, savedAt: Date.now(), version, isMissing: false };
      await this.#writeNote(name, note).catch(onProblem);
      return await handle.getFile();
    });
  }

  /** Keeps that the server has no such file. Rejects as `write` does. */
  async writeMissing(url: string): Promise<void> {
    const [, name] = namesOf(await keyOf(url));
    await this.#writeNote(name, { url, bytes: 0, savedAt: Date.now(), version: UNKNOWN, isMissing: true });
  }

  async #writeNote(name: string, note: Note): Promise<void> {
    const access = await (await this.#folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
    try {
      access.truncate(0);
      writeAll(access, new TextEncoder().encode(JSON.stringify(note)), 0);
      access.flush();
    } finally {
      access.close();
    }
  }
}

/** Bytes without a note. What another page is writing is locked, and stays. */
async function removeUnfinished(folder: DirectoryHandle): Promise<void> {
  const names = new Set<string>();
  for await (const { name } of folder.values()) names.add(name);
  for (const name of names) {
    if (name.endsWith(NOTE_SUFFIX) || names.has(`${name}${NOTE_SUFFIX}`)) continue;
    await folder.removeEntry(name).catch(() => {});
  }
}

/** A file on its way into the cache. `finish` it or take it back by `abandon`. */
export class CacheWriter {
  readonly #access: SyncAccess;
  readonly #note: (bytes: number) => Promise<Blob>;
  #bytes = 0;

  constructor(access: SyncAccess, note: (bytes: number) => Promise<Blob>) {
    this.#access = access;
    this.#note = note;
  }

  /** Throws where there is no room. */
  append(chunk: Uint8Array): void {
    writeAll(this.#access, chunk, this.#bytes);
    this.#bytes += chunk.length;
  }

  /** The whole file, as the cache holds it from now on. Rejects where there is no room for its last part: it can still be abandoned. */
  async finish(): Promise<Blob> {
    this.#access.flush();
    this.#access.close();
    return await this.#note(this.#bytes);
  }

  /** Gives the room back and returns what was written until now. */
  abandon(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#bytes);
    this.#access.read(bytes, { at: 0 });
    this.#access.truncate(0);
    this.#access.close();
    return bytes;
  }
}

function writeAll(access: SyncAccess, bytes: Uint8Array, at: number): void {
  const written = access.write(bytes, { at });
  if (written < bytes.length) throw new Error('no room is left for files of this page');
}

async function openFolder(create: boolean): Promise<DirectoryHandle | null> {
  try {
    const root = await browser().navigator.storage?.getDirectory?.();
    return root === undefined ? null : await root.getDirectoryHandle(FOLDER, { create });
  } catch (error) {
    if (create) throw new Error(messageOf(error));
    return null;
  }
}

async function readNote(folder: DirectoryHandle, name: string): Promise<Note | null> {
  try {
    const note = JSON.parse(await (await (await folder.getFileHandle(name)).getFile()).text()) as Partial<Note> | null;
    const { url, bytes, savedAt, version, isMissing = false } = note ?? {};
    if (typeof url !== 'string' || typeof bytes !== 'number' || typeof savedAt !== 'number') return null;
    return typeof version === 'object' && version !== null ? { url, bytes, savedAt, version, isMissing } : null;
  } catch {
    return null;
  }
}

/** URLs are no names of files. */
async function keyOf(url: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  return Array.from(new Uint8Array(hash).subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function namesOf(key: string): [data: string, note: string] {
  return [key, `${key}${NOTE_SUFFIX}`];
}
