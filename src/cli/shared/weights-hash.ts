/** By what the weights of a model are known again: a path alone is no identity, another fine-tune of the same shape may lie there by now. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hashTexts } from '../../eval/data/hash-texts.ts';
import { MODEL_FILE } from '../../formats/model-files.ts';
import { sampledHash } from '../../formats/sampled-hash.ts';

/** Of the file, or of those of a directory. Throws FormatError for weights that cannot be read. */
export function weightsHash(path: string): string {
  return hashTexts(weightFilesOf(path).map((file) => sampledHash(file)));
}

/** As those who load it have it: a file alone is all, and in a directory one file of that name goes before several. */
function weightFilesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.safetensors'));
  return (names.includes(MODEL_FILE) ? [MODEL_FILE] : names.sort()).map((name) => join(path, name));
}
