/** A text file that an option names. */

import { readFileSync } from 'node:fs';
import { messageOf, UsageError } from '../../util/errors.ts';

/** Throws UsageError for a file that is not there, or is no UTF-8. */
export function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw new UsageError('--text', `${path} cannot be read as text: ${messageOf(error)}. Check the path.`, {
      cause: error,
    });
  }
}
