/**
 * The files of a task below what the user names: a file is taken as it is; in a folder the first pattern of the task that matches is, all of its
 * files, sorted by code unit. Only the last part of a pattern may hold `*`.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError where there is nothing, with what was looked for. */
export function findData(place: string, patterns: readonly string[], name: string): string[] {
  if (!existsSync(place)) throw new UsageError('--data', `${place} does not exist. Name a file or a folder with data.`);
  if (statSync(place).isFile()) return [place];
  for (const pattern of patterns) {
    const found = matches(place, pattern);
    if (found.length > 0) return found;
  }
  throw new UsageError(
    '--data',
    `${place} has no data of ${name}: expected one of ${patterns.join(', ')}. Name its file.`,
  );
}

function matches(folder: string, pattern: string): string[] {
  const inside = join(folder, dirname(pattern));
  if (!existsSync(inside) || !statSync(inside).isDirectory()) return [];
  const parts = basename(pattern)
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const wanted = new RegExp(`^${parts.join('.*')}$`, 's');
  return readdirSync(inside)
    .filter((file) => wanted.test(file))
    .sort()
    .map((file) => join(inside, file))
    .filter((path) => statSync(path).isFile());
}
