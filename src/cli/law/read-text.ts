/** A file of the user as text, for the commands of `law`. */

import { readFileSync } from 'node:fs';
import { FormatError, messageOf } from '../../util/errors.ts';

/** Throws FormatError where it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FormatError('law', `${path} cannot be read: ${messageOf(error)}.`, path, { cause: error });
  }
}
