/**
 * What has come in of a blob, under a name that only one download has: BLOB.HOST-PID-RANDOM.incomplete. Two processes that fetch the same file never write into
 * one another's.
 *
 * What an ended process left behind is taken over by the next one, by a rename that one of several wins. Whether a process has ended can be said on its own
 * machine only, and a number may belong to another process by now; all else (of another host or container, or of Python's huggingface_hub, whose file is
 * BLOB.incomplete) is taken over once nobody has written to it for a while.
 */

import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isProcessAlive } from '../formats/atomic-write.ts';

/** Longer than a connection may be silent before it is given up. */
const IDLE_MS = 10 * 60_000;
const OWNER = /^\.(.+)-(\d+)-[0-9a-f]{8}\.incomplete$/;

/** Of this process: downloads under way, and those that were given up. */
const inUse = new Set<string>();
const left = new Set<string>();

/** The path to write to, with what an ended download left there, if one did. Its folder must exist; `leaveIncomplete` when it is not written to any more. */
export function takeIncomplete(blob: string): string {
  const own = `${blob}.${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}.incomplete`;
  inUse.add(own);
  const [most, ...others] = abandonedOf(blob);
  for (const path of others) rmSync(path, { force: true });
  try {
    if (most !== undefined) renameSync(most, own);
  } catch {
    // Another process took it over.
  }
  return own;
}

/** What lies there may be taken over. */
export function leaveIncomplete(path: string): void {
  inUse.delete(path);
  left.add(path);
}

/** The largest first. */
function abandonedOf(blob: string): string[] {
  const folder = dirname(blob);
  const found = readdirSync(folder).flatMap((name) => {
    if (!name.startsWith(`${basename(blob)}.`) || !name.endsWith('.incomplete')) return [];
    const path = join(folder, name);
    const state = statSync(path, { throwIfNoEntry: false });
    const suffix = name.slice(basename(blob).length);
    return state !== undefined && isAbandoned(path, suffix, state.mtimeMs) ? [{ path, bytes: state.size }] : [];
  });
  return found.sort((a, b) => b.bytes - a.bytes).map(({ path }) => path);
}

function isAbandoned(path: string, suffix: string, writtenMs: number): boolean {
  if (inUse.has(path)) return false;
  // Also under the number of a living process: another one may have it by now.
  if (left.has(path) || Date.now() - writtenMs > IDLE_MS) return true;
  const [, host, pid] = OWNER.exec(suffix) ?? [];
  return host === hostname() && !isProcessAlive(Number(pid));
}
