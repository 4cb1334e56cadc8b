/** The model of `qsparse chat` with its tokenizer and what goes with it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '../../backend.ts';
import { readJsonFile } from '../../formats/model-files.ts';
import { type LoadedModel, loadModel } from '../../model/load-model.ts';
import { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { readTokenizerConfig } from '../../tokenizer/tokenizer-config.ts';

const CONFIG_FILE = 'tokenizer_config.json';

/** Throws FormatError as loadModel does, and for a tokenizer_config.json that cannot be used. */
export function openChatModel(path: string, backend: Backend): { model: LoadedModel; tokenizer: Tokenizer } {
  const model = loadModel(path, backend);
  const file = join(model.path, CONFIG_FILE);
  const config = existsSync(file)
    ? readTokenizerConfig({ tokenizer: model.tokenizer, tokenizerConfig: readJsonFile(file) }, model.path)
    : null;
  return { model, tokenizer: Tokenizer.fromJson(model.tokenizer, join(model.path, 'tokenizer.json'), config) };
}
