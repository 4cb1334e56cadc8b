/** A run directory, held while something is trained in it. */

import { lockRunDirectory } from '../../formats/run-lock.ts';
import { holdsRun } from '../../train/run-directory.ts';
import { UsageError } from '../../util/errors.ts';
import type { RunOptions } from './run-options.ts';

type Directory = Pick<RunOptions, 'out' | 'resume'>;

/** Does `work` while the directory is locked. Throws as checkDirectory, and UsageError where another process holds it. */
export async function inRunDirectory(directory: Directory, work: () => Promise<void>): Promise<void> {
  checkDirectory(directory);
  const lock = lockRunDirectory(directory.out);
  try {
    checkDirectory(directory);
    await work();
  } finally {
    lock.release();
  }
}

/** Refuses before anything is written: to begin where a run is, or to resume where none is. */
export function checkDirectory({ out, resume }: Directory): void {
  if (holdsRun(out) && !resume) {
    throw new UsageError(
      '--out',
      `${out} holds a run; nothing was written. Add --resume to go on, or choose another --out.`,
    );
  }
  if (!holdsRun(out) && resume) {
    throw new UsageError('--resume', `${out} holds no run. Leave --resume out to begin one, or check --out.`);
  }
}
