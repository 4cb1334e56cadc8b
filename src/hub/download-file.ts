/**
 * One file of the Hub into the cache: begun again where it broke off, and there under its name only when its hash is right.
 *
 * What has come in lies beside it (incomplete-file.ts), so that the next run, or the next attempt of this one, asks for the rest. Of two processes that fetch
 * the same file each has its own, and the first one names it. The hash is that of Git: SHA-256 of a large file (LFS), SHA-1 of a small one
 * with its size in front. Redirects, addresses and access tokens are @huggingface/hub's part.
 */

import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { downloadFile as openRemote } from '@huggingface/hub';
import { FormatError, messageOf } from '../util/errors.ts';
import { leaveIncomplete, takeIncomplete } from './incomplete-file.ts';
import { settleFile, sizeOf } from './place-file.ts';

export interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** Of Git; for large files the SHA-256 of the contents. */
  readonly oid: string;
  readonly isLarge: boolean;
}

export interface Remote {
  readonly repository: string;
  readonly commit: string;
  readonly hubUrl: string;
  readonly accessToken: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A connection that breaks is taken up again; one that brings nothing new that often is given up. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;

/**
 * Fetches a file to `blob`, unless it is there with all of its bytes. `onBytes` is called with what has come in, those of an earlier run first. Throws FormatError
 * where the connection fails too often, the size or the hash is wrong, or the disk is full; the reason of the signal where it is aborted.
 */
export async function downloadFile(
  file: RemoteFile,
  blob: string,
  remote: Remote,
  onBytes: (count: number) => void,
): Promise<void> {
  if (sizeOf(blob) === file.size) {
    onBytes(file.size);
    return;
  }
  mkdirSync(dirname(blob), { recursive: true });
  const incomplete = takeIncomplete(blob);
  let counted = 0;
  const count = (bytes: number) => {
    counted += bytes;
    onBytes(bytes);
  };
  try {
    await fetchInto(incomplete, file, blob, remote, count);
  } catch (error) {
    remote.signal?.throwIfAborted();
    // Another process that fetched the same file was first.
    if (sizeOf(blob) !== file.size) throw error;
    rmSync(incomplete, { force: true });
    count(file.size - counted);
  } finally {
    leaveIncomplete(incomplete);
  }
}

async function fetchInto(
  incomplete: string,
  file: RemoteFile,
  blob: string,
  remote: Remote,
  onBytes: (count: number) => void,
): Promise<void> {
  let done = sizeOf(incomplete) ?? 0;
  if (done > file.size) {
    rmSync(incomplete);
    done = 0;
  }
  onBytes(done);
  await fetchRest(file, incomplete, done, remote, onBytes);
  await checkHash(file, incomplete, remote);
  try {
    await settleFile(incomplete, blob);
  } catch (error) {
    throw failure(file, remote, messageOf(error));
  }
}

async function fetchRest(
  file: RemoteFile,
  incomplete: string,
  begin: number,
  remote: Remote,
  onBytes: (count: number) => void,
): Promise<void> {
  let [done, failures, furthest] = [begin, 0, begin];
  // An empty file is there as soon as it is opened.
  while (done < file.size || !existsSync(incomplete)) {
    try {
      await append(file, incomplete, done, remote, (count) => {
        done += count;
        onBytes(count);
      });
    } catch (error) {
      remote.signal?.throwIfAborted();
      // A server that cannot go on in the middle brings the same bytes again and again: they are no progress.
      failures = done > furthest ? 0 : failures + 1;
      furthest = Math.max(furthest, done);
      if (messageOf(error) === NO_RANGES || !existsSync(incomplete)) {
        rmSync(incomplete, { force: true });
        onBytes(-done);
        done = 0;
      }
      if (failures === ATTEMPTS || isFinal(error)) throw failure(file, remote, messageOf(error), adviceOn(error));
      await sleep(FIRST_PAUSE_MS * 2 ** failures, undefined, { signal: remote.signal }).catch(() => {});
      remote.signal?.throwIfAborted();
    }
  }
}

/** Reads on from byte `begin` until the end or an error. */
async function append(
  file: RemoteFile,
  incomplete: string,
  begin: number,
  remote: Remote,
  onBytes: (count: number) => void,
): Promise<void> {
  const { repository, commit, hubUrl, accessToken } = remote;
  // A file that is gone by now is no reason for one that begins with a hole.
  const handle = await open(incomplete, begin === 0 ? 'w' : 'r+');
  try {
    if (begin === file.size) return;
    const content = await openRemote({
      ...{ repo: { type: 'model', name: repository }, path: file.path, revision: commit, hubUrl, accessToken },
      // Plain ranges can be taken up anywhere.
      xet: false,
      fetch: rangedFetch(remote.signal),
    });
    if (content?.size !== file.size)
      throw new Error(`expected ${file.size} bytes, found ${content?.size ?? 'no file'}`);
    let at = begin;
    for await (const piece of content.slice(begin).stream() as unknown as AsyncIterable<Uint8Array>) {
      if (at + piece.length > file.size)
        throw new Error(`the server sends more than the ${file.size} bytes of the file`);
      await writeWhole(handle, piece, at);
      at += piece.length;
      onBytes(piece.length);
      remote.signal?.throwIfAborted();
    }
    if (at < file.size) throw new Error(`the connection ended at byte ${at} of ${file.size}`);
  } finally {
    await handle.close();
  }
}

type Handle = Awaited<ReturnType<typeof open>>;

async function writeWhole(handle: Handle, piece: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    done += (await handle.write(piece, done, piece.length - done, position + done)).bytesWritten;
  }
}

/** Known by its words: streams of @huggingface/hub pass on nothing else of an error. */
const NO_RANGES = 'the server cannot continue a file in its middle';

/** A server that answers the question for a part with the whole would otherwise be written behind what is there. */
function rangedFetch(signal: AbortSignal | undefined): typeof fetch {
  return async (url, init) => {
    const response = await fetch(url, { ...init, signal: signal ?? null });
    const asked = new Headers(init?.headers).get('range');
    if (asked !== null && !asked.startsWith('bytes=0-') && response.ok && response.status !== 206) {
      await response.body?.cancel();
      throw new Error(NO_RANGES);
    }
    return response;
  };
}

async function checkHash(file: RemoteFile, incomplete: string, remote: Remote): Promise<void> {
  const hash = hashOf(file);
  for await (const piece of createReadStream(incomplete)) {
    remote.signal?.throwIfAborted();
    hash.update(piece as Uint8Array);
  }
  const found = hash.digest('hex');
  if (found === file.oid) return;
  rmSync(incomplete);
  throw failure(file, remote, `expected the hash ${file.oid}, found ${found}; what came in was removed`);
}

function hashOf({ isLarge, size }: RemoteFile): Hash {
  return isLarge ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** Full disks and refusals do not go away by asking again; a server that is busy (429, 5xx) may. */
function isFinal(error: unknown): boolean {
  const { code, statusCode = 500 } = error as { code?: string; statusCode?: number };
  return code === 'ENOSPC' || code === 'EACCES' || (statusCode < 500 && statusCode !== 429);
}

const GO_ON = 'Run the same command again: it goes on where this one stopped';

/** Of a model behind a licence everybody may list the files, and who has accepted it may fetch them. */
function adviceOn(error: unknown): string {
  const { statusCode } = error as { statusCode?: number };
  if (statusCode !== 401 && statusCode !== 403) return GO_ON;
  return 'Accept the licence on the page of the model, if it has one, and give an access token in HF_TOKEN';
}

function failure({ path }: RemoteFile, { repository }: Remote, why: string, advice = GO_ON): FormatError {
  return new FormatError('hub', `cannot fetch ${path} of ${repository}: ${why.replace(/\.$/, '')}. ${advice}.`, path);
}
