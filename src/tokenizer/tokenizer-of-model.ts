/** The tokenizer of a loaded model, which begins and ends texts as the model saw them begin and end. */

import { Tokenizer } from './tokenizer.ts';
import { readTokenizerConfig } from './tokenizer-config.ts';

export interface ModelText {
  /** The contents of tokenizer.json, and of tokenizer_config.json where the model came from another program. */
  readonly tokenizer: unknown;
  readonly tokenizerConfig: object | null;
  /** The model's directory or file, for messages. */
  readonly path: string;
}

/** Throws FormatError that names the model where one of the two cannot be used. */
export function tokenizerOfModel({ tokenizer, tokenizerConfig, path }: ModelText): Tokenizer {
  if (tokenizerConfig === null) return Tokenizer.fromJson(tokenizer, `${path}/tokenizer.json`);
  return Tokenizer.fromJson(tokenizer, path, readTokenizerConfig({ tokenizer, tokenizerConfig }, path));
}
