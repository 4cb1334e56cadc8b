/** The model of `qsparse chat` with its tokenizer and what goes with it. */

import type { Backend } from '../../backend.ts';
import { openModel } from '../../import/open-model.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';

/** Throws FormatError as openModel does, and for a tokenizer_config.json that cannot be used. */
export function openChatModel(path: string, backend: Backend): { model: LoadedModel; tokenizer: Tokenizer } {
  const model = openModel(path, backend);
  return { model, tokenizer: tokenizerOfModel(model) };
}
