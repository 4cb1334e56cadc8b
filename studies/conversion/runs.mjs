/** What the study needs to know of a run directory: whether the run is done, and which checkpoint is the model that it made. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { readJson } from '../../bench/lib/processes.mjs';

/**
 * The checkpoint of the last step, which is there when the run is finished. It is what is measured, and not the one with the lowest held-out loss that commands take of a run by
 * themselves: all models have seen the same tokens then.
 */
export function finalCheckpoint(run) {
  const { train } = readJson(path.join(run, 'run.json'));
  return path.join(run, 'checkpoints', `step-${String(train.steps).padStart(6, '0')}`);
}

/** A run that was stopped in its last validation has its last checkpoint already: it is not done before that has been made up for. */
export function isFinished(run) {
  if (!existsSync(path.join(run, 'run.json'))) return false;
  const saved = readJson(path.join(finalCheckpoint(run), 'state.json'));
  return saved !== null && saved.state.progress.validationDue !== true;
}
