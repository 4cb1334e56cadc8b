/** Which code was measured: the commit of the repository, or the version where this is an installed package. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { packageVersion } from '../shared/version.ts';

/** With `-dirty` for changes on top, of other files than results. Only a repository of our own counts: a package may lie inside someone else's. */
export function currentCommit(): string {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const version = `v${packageVersion()}`;
  if (!existsSync(`${root}.git`)) return version;
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const commit = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain', '--', '.', ':!bench/results') === '' ? commit : `${commit}-dirty`;
  } catch {
    return version;
  }
}
