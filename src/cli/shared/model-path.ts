/** MODEL of a command as a path: an id of the Hugging Face Hub is fetched first. */

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { resolveModelPath } from '../../hub/resolve-model-path.ts';
import type { Output } from './output.ts';

/**
 * An id has the form of a path, so that a mistyped `runs/bok` must not be asked for in the network: where its folder exists, it is a path, and whoever
 * opens it says what is wrong. Throws as resolveModelPath. Ctrl-C ends the program; what has come in stays for the next time.
 */
export async function modelPath(given: string, output: Output): Promise<string> {
  const folder = dirname(given);
  if (folder === '.' || existsSync(folder)) return given;
  const progress = output.progress();
  try {
    return await resolveModelPath(given, {
      onProgress: ({ file, done, total }) => progress.update({ label: `fetching ${file}`, done, total, unit: 'bytes' }),
    });
  } finally {
    progress.done();
  }
}
