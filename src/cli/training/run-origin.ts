/** The model that a run began with: how it is named, found and known again where the run goes on. */

import type { RunOrigin } from '../../train/run-directory.ts';
import { FormatError, UsageError } from '../../util/errors.ts';
import { type OpenedSource, openSource } from '../shared/open-source.ts';
import { weightsHash } from '../shared/weights-hash.ts';

/** `given` is MODEL as it stands on the command line. */
export function originOf(given: string, { path, format, step }: OpenedSource): RunOrigin {
  return { given, path, format, step, weights: weightsHash(path) };
}

/** Throws UsageError where a resumed run is given another MODEL than it began with, by whichever of its names. */
export function refuseOtherModel(given: string | undefined, origin: RunOrigin, settingsPath: string): void {
  const began = origin.given ?? origin.path;
  if (given === undefined || given === began || given === origin.path) return;
  throw new UsageError(
    'model',
    `cannot change inside a run: ${settingsPath} has ${began}, got ${given}. Leave it out.`,
  );
}

/**
 * Opens it for a run that goes on: other weights at its path would be another teacher, or another beginning. `close` it. Throws as openSource, and FormatError for other
 * weights.
 */
export function openOrigin({ path, weights }: RunOrigin, where: string): OpenedSource {
  const source = openSource(path, where);
  if (weights === undefined || weights === weightsHash(source.path)) return source;
  source.close();
  throw new FormatError(
    where,
    `${path} has other weights than when the run began with it. Restore it, or start a new run.`,
    path,
  );
}
