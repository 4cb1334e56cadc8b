/** Where the two commands of the README can be tried in a fresh copy of the project. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Why not, or null. Once is enough, and npm starts scripts with its own Node. */
export function cannotRunReadme(): string | null {
  if (!existsSync(join(ROOT, '.git'))) return 'skipped, not a clone: which files are its own is not known';
  if (process.env.npm_node_execpath !== process.execPath) return 'skipped, not started by the npm of this Node';
  return null;
}
