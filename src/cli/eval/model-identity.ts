/** What saved scores depend on besides the items themselves: the first line of a file of records. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hashTexts } from '../../eval/data/hash-texts.ts';
import { MODEL_FILE } from '../../formats/model-files.ts';
import { sampledHash } from '../../formats/sampled-hash.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import type { KvType } from '../../tensor/kv-slots.ts';

/** A path alone is no identity: another fine-tune of the same shape may lie there by now. Throws FormatError for weights that cannot be read. */
export function modelIdentity(
  model: Pick<LoadedModel, 'path' | 'step' | 'config' | 'dtypes' | 'tokenizer' | 'tokenizerConfig'>,
  { kv, prefixToken }: { kv: KvType; prefixToken: number | null },
): object {
  const { path, step, config, dtypes, tokenizer, tokenizerConfig } = model;
  const weights = hashTexts(weightFilesOf(path).map((file) => sampledHash(file)));
  const text = hashTexts([JSON.stringify(tokenizer), JSON.stringify(tokenizerConfig)]);
  return { path, step, weights, tokenizer: text, config, dtypes, kv, prefixToken };
}

/** As those who load it have it: a file alone is all, and in a directory one file of that name goes before several. */
function weightFilesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.safetensors'));
  return (names.includes(MODEL_FILE) ? [MODEL_FILE] : names.sort()).map((name) => join(path, name));
}
