/**
 * The trained model of the study of inference speed: some minutes of `qsparse train`, kept in a run directory of the user's choice. Stopped and
 * started again, training goes on where it was; packed models lie beside the run.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MAIN } from './processes.mjs';

/** 27.8 M parameters, large enough that weights and not overhead are the time of a token. */
const STEPS = 200;
const TRAINING = [
  ...['--preset', 'd512-l8', '--sparsity', '0.6', '--steps', STEPS, '--batch-size', 4, '--lr', 1e-3, '--warmup', 20],
  ...['--validate-every', 100, '--save-every', 20, '--keep', 1, '--seed', 0],
].map(String);

/** What it is, in words. */
export const TRAINED = `d512-l8 trained for ${STEPS} steps of 1024 tokens at sparsity 0.6`;

/** The directory of the model in `dtype`; trained and packed where it is not there. */
export function trainedModel(run, text, dtype) {
  const packed = `${run}-${dtype}`;
  if (existsSync(packed)) return packed;
  const done = path.join(run, 'checkpoints', `step-${String(STEPS).padStart(6, '0')}`);
  if (!existsSync(done)) {
    const how = existsSync(path.join(run, 'checkpoints')) ? ['--resume'] : [...TRAINING, '--text', text];
    command('train', '--out', run, ...how);
  }
  command('convert', run, packed, '--dtype', dtype);
  return packed;
}

function command(...args) {
  execFileSync(process.execPath, [MAIN, ...args], { stdio: 'inherit' });
}
