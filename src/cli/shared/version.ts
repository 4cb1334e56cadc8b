/**
 * The version of the package, read from its package.json: the same relative path from `src/` and from `dist/`.
 */

import { createRequire } from 'node:module';

/** `0.1.0`. */
export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };
  return version;
}
