/**
 * The files of a task below what the user names: a file is taken as it is; in a folder the first pattern of the task that matches is, all of its
 * files, sorted by code unit. A `*` stands for any characters of one part of a path: of a folder's name or of the file's.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError where there is nothing, with what was looked for. */
export function findData(place: string, patterns: readonly string[], name: string): string[] {
  return findDataIn([place], patterns, name).files;
}

/** The first of several places that has data, and its files. Throws UsageError where none has, or one does not exist. */
export function findDataIn(
  places: readonly string[],
  patterns: readonly string[],
  name: string,
): { place: string; files: string[] } {
  for (const place of places) {
    const files = filesIn(place, patterns);
    if (files.length > 0) return { place, files };
  }
  const where = places.length === 1 ? `${places[0]} has no data` : `none of ${places.join(', ')} has data`;
  throw new UsageError('--data', `${where} of ${name}: expected one of ${patterns.join(', ')}. Name its file.`);
}

function filesIn(place: string, patterns: readonly string[]): string[] {
  if (!existsSync(place)) throw new UsageError('--data', `${place} does not exist. Name a file or a folder with data.`);
  if (statSync(place).isFile()) return [place];
  for (const pattern of patterns) {
    const found = matches(place, pattern);
    if (found.length > 0) return found;
  }
  return [];
}

function matches(folder: string, pattern: string): string[] {
  return pattern
    .split('/')
    .reduce((places, part) => places.flatMap((place) => entries(place, part)), [folder])
    .filter((path) => statSync(path).isFile());
}

/** What lies in a folder under that name, or under the names that a part with `*` stands for. */
function entries(folder: string, part: string): string[] {
  if (!part.includes('*')) return existsSync(join(folder, part)) ? [join(folder, part)] : [];
  if (!statSync(folder).isDirectory()) return [];
  const pieces = part.split('*').map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const wanted = new RegExp(`^${pieces.join('.*')}$`, 's');
  return readdirSync(folder)
    .filter((name) => wanted.test(name))
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path)); // a link may lead nowhere
}
