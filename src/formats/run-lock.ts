/**
 * One process per run directory: RUN/run.lock names the process that writes there.
 *
 * The lock appears with its content in one step (a hard link of a finished file), so nobody ever reads half of it. The lock
 * of a process that ended, or whose number another process has now, is taken over. Across machines that share a disk
 * nobody can tell whether the holder lives, so such a lock holds. Containers of one host name count as one machine: one that is started again goes on by itself, and two at a time
 * do not see each other.
 */

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { FormatError, messageOf, TrainingError } from '../util/errors.ts';
import { isProcessAlive } from './atomic-write.ts';

interface Holder {
  pid: number;
  host: string;
  /** When the process started, in the kernel's clock ticks; null where /proc does not tell. */
  startTicks: string | null;
}

/**
 * Takes the lock of a run directory (made if missing) until `release` is called or the process exits.
 * Throws TrainingError that names the process where another one, or this one, holds it; FormatError where it cannot be written.
 */
export function lockRunDirectory(runDir: string): { release(): void } {
  const path = join(runDir, 'run.lock');
  const content = JSON.stringify({ pid: process.pid, host: hostname(), startTicks: startTicks(process.pid) });
  try {
    mkdirSync(runDir, { recursive: true });
    takeLock(path, content);
  } catch (error) {
    if (error instanceof TrainingError) throw error;
    throw new FormatError('lock', `cannot write ${path}: ${messageOf(error)}. Choose another --out.`, path, {
      cause: error,
    });
  }
  let held = true;
  const release = () => {
    process.off('exit', release);
    if (held && readText(path) === content) rmSync(path, { force: true });
    held = false;
  };
  process.on('exit', release);
  return { release };
}

function takeLock(path: string, content: string): void {
  const own = `${path}.${process.pid}`;
  const stale = `${own}.stale`;
  writeFileSync(own, content);
  try {
    while (!linked(own, path)) {
      const found = readText(path);
      if (found === undefined) continue;
      refuseIfHeld(found, path);
      // Two processes may find the same stale lock. Only what was judged may go: a newer lock is put back.
      renameSync(path, stale);
      if (readText(stale) !== found && linked(stale, path)) refuseIfHeld(readText(path) ?? found, path);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    takeLock(path, content);
  } finally {
    rmSync(own, { force: true });
    rmSync(stale, { force: true });
  }
}

function refuseIfHeld(content: string, path: string): void {
  const holder = parseHolder(content);
  if (holder === undefined) return;
  const here = holder.host === hostname();
  if (here && !isProcessAlive(holder.pid)) return;
  if (here && holder.startTicks !== null && holder.startTicks !== startTicks(holder.pid)) return;
  const who = here ? `process ${holder.pid}` : `process ${holder.pid} on ${holder.host}`;
  const todo = here ? 'Wait for it, stop it, or use another --out' : `If it has ended, delete ${path}`;
  throw new TrainingError('lock', `another run writes here: ${who} holds ${path}. ${todo}.`);
}

function parseHolder(content: string): Holder | undefined {
  try {
    const { pid, host, startTicks: ticks } = JSON.parse(content);
    if (!Number.isInteger(pid) || pid < 1 || typeof host !== 'string') return undefined;
    return { pid, host, startTicks: typeof ticks === 'string' ? ticks : null };
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat tells a process from a later one of the same number. */
function startTicks(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`);
  // Field 2, the name, is in parentheses and may hold spaces; the third field follows the last one.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
