/** What saved scores depend on besides the items themselves: the first line of a file of records. */

import { hashTexts } from '../../eval/data/hash-texts.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import type { KvType } from '../../tensor/kv-slots.ts';
import { weightsHash } from '../shared/weights-hash.ts';

/** Throws FormatError for weights that cannot be read. */
export function modelIdentity(
  model: Pick<LoadedModel, 'path' | 'step' | 'config' | 'dtypes' | 'tokenizer' | 'tokenizerConfig'>,
  { kv, prefixToken }: { kv: KvType; prefixToken: number | null },
): object {
  const { path, step, config, dtypes, tokenizer, tokenizerConfig } = model;
  const text = hashTexts([JSON.stringify(tokenizer), JSON.stringify(tokenizerConfig)]);
  return { path, step, weights: weightsHash(path), tokenizer: text, config, dtypes, kv, prefixToken };
}
