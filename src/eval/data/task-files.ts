/** Task files: built-in ones by name, from `tasks/` of the package, and the user's by path. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FormatError, messageOf, nearestName, UsageError } from '../../util/errors.ts';
import { parseTask, type Task } from '../task.ts';

/** The same relative path from `src/eval/data` and from `dist/eval/data`. */
const BUILT_IN_FOLDER = fileURLToPath(new URL('../../../tasks/', import.meta.url));

/** Names of the built-in tasks, sorted. */
export function taskNames(): string[] {
  if (!existsSync(BUILT_IN_FOLDER)) return [];
  return readdirSync(BUILT_IN_FOLDER)
    .filter((file) => file.endsWith('.json'))
    .map((file) => basename(file, '.json'))
    .sort();
}

/** Throws UsageError where there is none of that name or path, and what parseTask throws. */
export function loadTask(name: string): Task {
  const path = pathOf(name);
  try {
    return parseTask(JSON.parse(readFileSync(path, 'utf8')), name);
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof Error && 'syscall' in error)) throw error;
    throw new FormatError('task', `${path} cannot be read: ${messageOf(error)}.`, path, { cause: error });
  }
}

function pathOf(name: string): string {
  const names = taskNames();
  if (names.includes(name)) return join(BUILT_IN_FOLDER, `${name}.json`);
  const path = resolve(name);
  if (name.endsWith('.json') && existsSync(path)) return path;
  const near = nearestName(name, names);
  const advice = near ? ` Did you mean "${near}"?` : ' A task of your own is named by the path of its .json file.';
  throw new UsageError('--tasks', `expected one of ${names.join(', ')}, got "${name}".${advice}`);
}
