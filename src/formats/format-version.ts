/** The version of config.json and state.json. */

import { FormatError } from '../util/errors.ts';

/** Counts up when an older reader could not read the files rightly. */
export const FORMAT_VERSION = 1;

/** Throws FormatError that tells both versions. */
export function checkVersion(path: string, found: unknown): void {
  if (found === FORMAT_VERSION) return;
  const versions = `expected formatVersion ${FORMAT_VERSION}, found ${JSON.stringify(found) ?? 'none'}`;
  throw new FormatError('checkpoint', `${path}: ${versions}. Use the version of qsparse that wrote it.`, path);
}
