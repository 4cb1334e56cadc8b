/** The tokenizer of a Hugging Face directory: tokenizer.json, or the SentencePiece file where there is none, with what the files beside it say. */

import { readWholeFile } from '../formats/read-whole-file.ts';
import { parseJsonObject } from '../formats/safetensors-header.ts';
import { readSentencePieceModel } from '../tokenizer/sentencepiece-model.ts';
import { readTokenizerConfig } from '../tokenizer/tokenizer-config.ts';
import type { TokenizerJson } from '../tokenizer/tokenizer-json.ts';
import { FormatError } from '../util/errors.ts';
import { withAddedTokens } from './added-tokens.ts';
import type { ForeignText } from './foreign-model.ts';

/** Vocabularies of 250,000 tokens have 35 MB. */
const MOST_TOKENIZER_BYTES = 2 ** 28;
const MOST_CONFIG_BYTES = 2 ** 24;

/** `modelConfig`: the contents of config.json. Throws FormatError where there is no tokenizer, or a file is none of its kind. */
export function readHuggingFaceText(directory: string, modelConfig: object): ForeignText {
  const json = (name: string) => readJson(`${directory}/${name}`, MOST_CONFIG_BYTES);
  const own = json('tokenizer_config.json');
  const { tokenizer, tokenizerConfig } = tokenizerOf(directory, own);
  const sources = { tokenizer, tokenizerConfig, generationConfig: json('generation_config.json') ?? undefined };
  const template = readText(`${directory}/chat_template.jinja`, MOST_CONFIG_BYTES);
  const chatTemplate = template === null ? {} : { chatTemplate: template };
  return {
    tokenizer,
    tokenizerConfig: readTokenizerConfig({ ...sources, modelConfig, ...chatTemplate }, directory),
  };
}

/** The contents of config.json and of the like; null where there is no such file. Throws FormatError. */
export function readJson(path: string, mostBytes = MOST_CONFIG_BYTES): Record<string, unknown> | null {
  const text = readText(path, mostBytes);
  return text === null ? null : parseJsonObject(text, 'a file', 'at byte 0', path);
}

function readText(path: string, mostBytes: number): string | null {
  const bytes = readWholeFile(path, mostBytes, 'hugging-face');
  return bytes && new TextDecoder().decode(bytes);
}

type Json = Record<string, unknown>;

/** The tokenizer with what tokenizer_config.json says. Of a SentencePiece file first and last token are its own, where that says nothing, and tokens that were added later stand beside it. */
function tokenizerOf(directory: string, own: Json | null): { tokenizer: object; tokenizerConfig: Json | undefined } {
  const json = readJson(`${directory}/tokenizer.json`, MOST_TOKENIZER_BYTES);
  if (json !== null) return { tokenizer: json, tokenizerConfig: own ?? undefined };
  const path = `${directory}/tokenizer.model`;
  const pieces = readWholeFile(path, MOST_TOKENIZER_BYTES, 'hugging-face');
  if (pieces !== null) {
    const { tokenizer, tokenizerConfig } = readSentencePieceModel(pieces, path);
    const { bos_token, eos_token, add_bos_token } = tokenizerConfig;
    const files = {
      config: own ?? {},
      byText: readJson(`${directory}/added_tokens.json`) ?? {},
      specialTokens: readJson(`${directory}/special_tokens_map.json`) ?? {},
    };
    const said = Object.fromEntries(Object.entries(own ?? {}).filter(([, value]) => value !== null));
    return {
      tokenizer: withAddedTokens(tokenizer as TokenizerJson, files, directory),
      tokenizerConfig: { bos_token, eos_token, add_bos_token, ...said },
    };
  }
  throw new FormatError(
    'hugging-face',
    `${directory}: expected tokenizer.json or tokenizer.model, found neither. Copy one of them from where the model was published.`,
    directory,
  );
}
