/** Says what a model of another program is, instead of what it lacks. */

import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError for a file, GGUF or other, and for a Hugging Face directory. */
export function refuseForeign(path: string): void {
  if (!existsSync(path)) return;
  const refuse = (what: string): never => {
    const own = 'expected the directory of a run or a checkpoint of qsparse. Other formats cannot be converted yet';
    throw new UsageError('convert', `${path} is ${what}: ${own}.`);
  };
  if (statSync(path).isFile()) refuse(isGguf(path) ? 'a GGUF file' : 'a file');
  if (isHuggingFace(join(path, 'config.json'))) refuse('a Hugging Face model');
}

function isGguf(path: string): boolean {
  const magic = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    return readSync(file, magic, 0, 4, 0) === 4 && magic.toString('latin1') === 'GGUF';
  } finally {
    closeSync(file);
  }
}

function isHuggingFace(configPath: string): boolean {
  try {
    const config = JSON.parse(readFileSync(configPath, 'utf8')) as Record<string, unknown>;
    return 'model_type' in config || 'architectures' in config;
  } catch {
    return false;
  }
}
