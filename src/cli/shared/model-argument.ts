/** MODEL of the commands: what their help says of it, and its path; an id of the Hugging Face Hub is fetched first. */

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { resolveModelPath } from '../../hub/resolve-model-path.ts';
import type { Output } from './output.ts';

export const MODEL_ARGUMENT =
  'a run, a checkpoint or a packed model; a Hugging Face directory, a GGUF or llama2.c file';

/** Of a command that trains it. */
export const TRAINED_ARGUMENT = 'a run or a checkpoint; a Hugging Face directory, a GGUF or llama2.c file';

export const MODEL_HELP = `MODEL is the directory of a run (its best checkpoint is taken), of one checkpoint or of a packed model (qsparse convert), or a
model of another program: a Hugging Face directory, a GGUF file, a checkpoint of llama2.c with its tokenizer.bin beside it; or OWNER/NAME
of a model on the Hugging Face Hub, which is fetched once and kept.`;

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
