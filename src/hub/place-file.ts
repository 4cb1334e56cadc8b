/** Files get their names in the cache when they are whole and on the disk: neither a kill nor a loss of power leaves a name with less behind it. */

import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { copyFile, open, rename, rm } from 'node:fs/promises';
import { dirname, relative } from 'node:path';

type Link = (target: string, path: string) => void;

/** Renames a finished file. */
export async function settleFile(temporary: string, path: string): Promise<void> {
  await flush(temporary, 'r+');
  await rename(temporary, path);
  // Windows can neither open a folder nor needs it for the rename to last.
  if (process.platform !== 'win32') await flush(dirname(path), 'r');
}

/** A relative link, so that the cache can be moved; a copy where the system allows no links (Windows without the right to). What is there already and as long stays. `link` is what the system has for links. */
export async function linkFile(blob: string, path: string, link: Link = symlinkSync): Promise<void> {
  if (sizeOf(path) === sizeOf(blob)) return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = temporaryOf(path);
  try {
    if (isLinked(relative(dirname(path), blob), temporary, link)) {
      renameSync(temporary, path);
      return;
    }
    await copyFile(blob, temporary);
    await settleFile(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Bytes of the file, behind links; null where there is none. */
export function sizeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null;
}

/** Of this call alone: two may be at it in one process. */
function temporaryOf(path: string): string {
  return `${path}.tmp-${randomBytes(4).toString('hex')}`;
}

function isLinked(target: string, path: string, link: Link): boolean {
  try {
    link(target, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return false;
  }
}

async function flush(path: string, flags: string): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
