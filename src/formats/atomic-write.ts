/**
 * Files and directories that are written whole or not at all.
 *
 * New content goes to a temporary sibling, is flushed to the disk and then renamed over the old; a kill, a full disk or a lost
 * power supply at any moment leaves the old content or the new. A rename cannot replace a directory that is not empty, so the
 * old one steps aside under `.old-NAME` first: `resolveDirectory` finds it there if the process ended between the two renames.
 */

import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { FormatError, messageOf } from '../util/errors.ts';

/** `.tmp-PLACE-PID-NAME`; without a place it is of an earlier version. */
const TEMPORARY = /^\.tmp-(?:([0-9a-f]{16})-)?(\d+)-/;
/** Of each half of a place. */
const PLACE_DIGITS = 8;
/** What nobody has written to for so long is of no process that runs, wherever that was. */
const STALE_MS = 24 * 60 * 60_000;
export const OLD_PREFIX = '.old-';

/** Writes a file: its content, or a function that writes it at the temporary path it is given. Throws FormatError. */
export function writeFileAtomically(path: string, content: string | Uint8Array | ((temporary: string) => void)): void {
  replaceAtomically(path, (temporary) => {
    if (typeof content === 'function') content(temporary);
    else writeFileSync(temporary, content);
    flush(temporary);
    renameSync(temporary, path);
  });
}

/** Writes a directory of plain files: `fill` writes them into the path it is given. Replaces `path`. Throws FormatError. */
export function writeDirectoryAtomically(path: string, fill: (temporary: string) => void): void {
  replaceAtomically(path, (temporary) => {
    mkdirSync(temporary);
    fill(temporary);
    flushFiles(temporary);
    exchange(temporary, path);
  });
  rmSync(asideOf(path), { recursive: true, force: true });
}

/**
 * The same for a directory that takes its time: `fill` may wait on the way, and where it throws (an aborted signal, input that cannot be
 * read), or the process exits meanwhile, nothing stays behind. An error that is not one of writing comes out as it is. Without `replace` a
 * directory that is not empty makes the write fail at its end. Throws FormatError.
 */
export async function writeDirectoryInSteps(
  path: string,
  fill: (temporary: string) => Promise<void>,
  { replace }: { replace: boolean },
): Promise<void> {
  const fillDirectory = async (temporary: string) => {
    mkdirSync(temporary);
    await fill(temporary);
  };
  await inSteps(path, fillDirectory, (temporary) => {
    flushFiles(temporary);
    if (replace) exchange(temporary, path);
    else renameSync(temporary, path);
  });
  if (replace) rmSync(asideOf(path), { recursive: true, force: true });
}

/**
 * The same for one new file: `fill` writes it at the path that it is given. What is at `path` already is never replaced: the write then fails at its
 * end. Throws FormatError, and passes on what `fill` throws.
 */
export async function writeFileInSteps(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  await inSteps(path, fill, (temporary) => {
    flush(temporary);
    if (existsSync(path)) throw new FormatError('save', `${path} exists by now. Choose another name.`, path);
    renameSync(temporary, path);
  });
}

/** Where the content of directory `path` lies: `path`, or what stepped aside for a replacement that never came. */
export function resolveDirectory(path: string): string | undefined {
  return [path, asideOf(path)].find((candidate) => existsSync(candidate));
}

/** True while a process of this number runs on this machine. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** `fill` makes the temporary, `settle` gives it its name; nothing stays behind where one of them throws or the process exits meanwhile. */
async function inSteps(
  path: string,
  fill: (temporary: string) => Promise<void>,
  settle: (temporary: string) => void,
): Promise<void> {
  const temporary = temporaryOf(path);
  const clean = () => removeQuietly(temporary);
  process.on('exit', clean);
  try {
    prepare(path, temporary);
    await fill(temporary);
    settle(temporary);
    flush(dirname(path));
  } catch (error) {
    clean();
    throw isOfWriting(error) ? failure(error, path) : error;
  } finally {
    process.off('exit', clean);
  }
}

function replaceAtomically(path: string, write: (temporary: string) => void): void {
  const temporary = temporaryOf(path);
  try {
    prepare(path, temporary);
    write(temporary);
    flush(dirname(path));
  } catch (error) {
    removeQuietly(temporary);
    throw failure(error, path);
  }
}

function temporaryOf(path: string): string {
  return join(dirname(path), `.tmp-${placeOfProcess()}-${process.pid}-${basename(path)}`);
}

/** Where process numbers mean the same: a host and on it the namespace, which each container has its own of; and in the second half since when: its start. */
function placeOfProcess(): string {
  const host = `${hostname()} ${orNothing(() => readlinkSync('/proc/self/ns/pid'))}`;
  const start = orNothing(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
  const digits = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, PLACE_DIGITS);
  return digits(host) + digits(start);
}

/** What only Linux tells. */
function orNothing(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

function asideOf(path: string): string {
  return join(dirname(path), OLD_PREFIX + basename(path));
}

function prepare(path: string, temporary: string): void {
  mkdirSync(dirname(path), { recursive: true });
  removeStaleTemporaries(dirname(path));
  rmSync(temporary, { recursive: true, force: true });
}

/** The new directory in the place of the old one, which stays aside. */
function exchange(temporary: string, path: string): void {
  const aside = asideOf(path);
  if (existsSync(path)) {
    rmSync(aside, { recursive: true, force: true });
    renameSync(path, aside);
  }
  try {
    renameSync(temporary, path);
  } catch (error) {
    if (existsSync(aside)) renameSync(aside, path);
    throw error;
  }
}

function failure(error: unknown, path: string): FormatError {
  const full = isFull(error);
  const reason = full ? 'the disk is full; free some space and try again' : messageOf(error).replace(/\.$/, '');
  const kept = existsSync(path) ? ' What was there before is intact.' : '';
  return new FormatError('save', `cannot write ${path}: ${reason}.${kept}`, path, { cause: error });
}

function isFull(error: unknown): boolean {
  return (rootCause(error) as NodeJS.ErrnoException).code === 'ENOSPC';
}

/** Errors of Node's file functions name the system call; those that were wrapped on the way name a file of their own. */
function isOfWriting(error: unknown): boolean {
  return isFull(error) || (error instanceof Error && 'syscall' in error);
}

function flushFiles(directory: string): void {
  for (const name of readdirSync(directory)) flush(join(directory, name));
  flush(directory);
}

/** For the way out of an error, which another one must not hide. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // What stays is a temporary, removed by a later write.
  }
}

/** Those of processes that ended before they could rename them. Of another host or container nobody can tell: theirs go when they are old. */
function removeStaleTemporaries(directory: string): void {
  for (const name of readdirSync(directory)) {
    const [match, place, pid] = TEMPORARY.exec(name) ?? [];
    if (match === undefined) continue;
    const path = join(directory, name);
    if (isStale(path, place, Number(pid))) rmSync(path, { recursive: true, force: true });
  }
}

function isStale(path: string, place: string | undefined, pid: number): boolean {
  const here = placeOfProcess();
  if (place === here) return !isProcessAlive(pid);
  // Of this host before it started anew: no process of then is left.
  if (place?.slice(0, PLACE_DIGITS) === here.slice(0, PLACE_DIGITS)) return true;
  return Date.now() - lastWritten(path) > STALE_MS;
}

/** When a file, or the newest one in a directory, was written to, in ms; now, where its process renames it meanwhile. */
function lastWritten(path: string): number {
  try {
    const state = statSync(path);
    const files = state.isDirectory() ? readdirSync(path).map((name) => lastWritten(join(path, name))) : [];
    return Math.max(state.mtimeMs, ...files);
  } catch {
    return Date.now();
  }
}

/** fsync of a file or a directory. Windows can neither open a directory nor needs it for the rename to last. */
function flush(path: string): void {
  let file: number;
  try {
    file = openSync(path, 'r+');
  } catch (error) {
    // A directory; or a copy of a file that may not be written to.
    if (!['EISDIR', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    if (process.platform === 'win32') return;
    file = openSync(path, 'r');
  }
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function rootCause(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootCause(error.cause) : error;
}
