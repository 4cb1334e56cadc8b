/** A run as a kill leaves it: a copy of a finished one without its last checkpoint, so that to go on means to do the last steps again. */

import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Copies the run `whole` to `out`, and returns the step after which the copy goes on. Throws where only one checkpoint was kept. */
export function copyStopped(whole: string, out: string): number {
  cpSync(whole, out, { recursive: true });
  const folder = join(out, 'checkpoints');
  const [last, before] = readdirSync(folder)
    .filter((name) => name.startsWith('step-'))
    .sort()
    .reverse();
  if (!before) throw new Error(`${whole} has one checkpoint, ${last}: two are needed`);
  rmSync(join(folder, last), { recursive: true });
  for (const pointer of ['latest.json', 'best.json']) rmSync(join(out, pointer), { force: true });
  return Number(before.slice('step-'.length));
}
