/**
 * TokenizerConfig: what a model of another program needs beside its tokenizer.json: how its texts begin and end, and its chat template.
 *
 * The names are those of Hugging Face's tokenizer_config.json, and an object of this type written as JSON is such a file; `eosTokenIds` is ours,
 * because there the ids that end a text are spread over three files. Read from parsed files, which may say anything: every field is
 * checked. Which file wins, and what adds a first token, as in transformers.
 */

import { FormatError } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import { shown } from '../util/problems.ts';

export interface TokenizerConfig {
  /** The token that stands before a text; null: none. */
  readonly bos_token: string | null;
  /** The token that ends a text; null: none. */
  readonly eos_token: string | null;
  /** Put `bos_token` before a prompt. Chat templates write it themselves. */
  readonly add_bos_token: boolean;
  /** Source of a Jinja template; null: the model was not made for chats. */
  readonly chat_template: string | null;
  /** All tokens that end a text or an answer. */
  readonly eosTokenIds: readonly number[];
}

/** A tokenizer with what goes with it: the contents of the two files. */
export interface TokenizerFiles {
  readonly tokenizer: object;
  readonly tokenizerConfig: TokenizerConfig;
}

/** Parsed files of a model directory, as far as they are there. */
export interface TokenizerConfigSources {
  /** tokenizer.json */
  tokenizer: unknown;
  /** tokenizer_config.json */
  tokenizerConfig?: unknown;
  /** generation_config.json */
  generationConfig?: unknown;
  /** config.json */
  modelConfig?: unknown;
  /** The text of chat_template.jinja, which wins over the template in tokenizer_config.json. */
  chatTemplate?: string;
}

/** The longest published template has 30,000 characters; what is beyond this is no template. */
const MOST_TEMPLATE_CHARACTERS = 2 ** 20;
const MOST_TOKEN_CHARACTERS = 1024;
/** Published lists have up to 20. */
const MOST_END_IDS = 256;

type Json = Record<string, unknown>;

/** Throws FormatError that names `path`, the directory of the files, where a field is of another kind. */
export function readTokenizerConfig(sources: TokenizerConfigSources, path: string): TokenizerConfig {
  const own = objectOf(sources.tokenizerConfig, 'tokenizer_config.json', path);
  const idOf = tokenIds(sources.tokenizer);
  const bos = tokenText(own.bos_token, 'tokenizer_config.json: bos_token', path);
  const eos = tokenText(own.eos_token, 'tokenizer_config.json: eos_token', path);
  const addBos = own.add_bos_token ?? null;
  if (addBos !== null && typeof addBos !== 'boolean') {
    throw wrong('tokenizer_config.json: add_bos_token', 'true or false', addBos, path);
  }
  const first = firstByTemplate(sources.tokenizer);
  const ends = new Set([
    ...endIds(own.eosTokenIds, 'tokenizer_config.json: eosTokenIds', path),
    ...endIds(
      objectOf(sources.generationConfig, 'generation_config.json', path).eos_token_id,
      'generation_config.json: eos_token_id',
      path,
    ),
    ...endIds(objectOf(sources.modelConfig, 'config.json', path).eos_token_id, 'config.json: eos_token_id', path),
  ]);
  const eosId = eos === null ? undefined : idOf(eos);
  if (eosId !== undefined) ends.add(eosId);
  return {
    bos_token: bos ?? first,
    eos_token: eos,
    add_bos_token: addBos === null ? first !== null && (bos === null || bos === first) : addBos && bos !== null,
    chat_template: templateOf(sources.chatTemplate ?? own.chat_template, path),
    eosTokenIds: [...ends],
  };
}

/** The id of a token by its text, in the contents of a tokenizer.json. */
export function tokenIds(tokenizer: unknown): (token: string) => number | undefined {
  const { model, added_tokens } = (tokenizer ?? {}) as { model?: { vocab?: unknown }; added_tokens?: unknown };
  const added = Array.isArray(added_tokens) ? (added_tokens as ({ content?: unknown; id?: unknown } | null)[]) : [];
  const vocab = model?.vocab;
  return (token) => {
    const id = added.find((one) => one?.content === token)?.id;
    if (typeof id === 'number') return id;
    if (Array.isArray(vocab)) {
      const at = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === token);
      return at < 0 ? undefined : at;
    }
    const isThere = typeof vocab === 'object' && vocab !== null && Object.hasOwn(vocab, token);
    return isThere ? ((vocab as Json)[token] as number) : undefined;
  };
}

/** The special token that the post-processor of a tokenizer.json puts before a text: how Llama 3 says what others say by add_bos_token. */
function firstByTemplate(tokenizer: unknown): string | null {
  const processor = (tokenizer as { post_processor?: unknown } | null)?.post_processor as Json | null | undefined;
  const steps =
    processor?.type === 'Sequence' && Array.isArray(processor.processors) ? processor.processors : [processor];
  for (const step of steps as (Json | null | undefined)[]) {
    if (step?.type !== 'TemplateProcessing' || !Array.isArray(step.single)) continue;
    const first = step.single[0] as { SpecialToken?: { id?: unknown } } | undefined;
    if (typeof first?.SpecialToken?.id === 'string') return first.SpecialToken.id;
  }
  return null;
}

/** A string, or the object of an added token; undefined and null are no token. */
function tokenText(value: unknown, field: string, path: string): string | null {
  const text = typeof value === 'object' && value !== null ? (value as Json).content : value;
  if (text === undefined || text === null) return null;
  if (typeof text === 'string' && text.length <= MOST_TOKEN_CHARACTERS) return text;
  throw wrong(field, `a token of at most ${MOST_TOKEN_CHARACTERS} characters`, value, path);
}

/** One id or a list of them. */
function endIds(value: unknown, field: string, path: string): number[] {
  if (value === undefined || value === null) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.length <= MOST_END_IDS && ids.every((id) => Number.isInteger(id) && (id as number) >= 0))
    return ids as number[];
  throw wrong(field, `a token id or a list of at most ${MOST_END_IDS}`, value, path);
}

/** A template, or of a list of named ones that which is called "default". */
function templateOf(value: unknown, path: string): string | null {
  if (value === undefined || value === null) return null;
  const isList = Array.isArray(value);
  const template = isList ? (value as (Json | null)[]).find((entry) => entry?.name === 'default')?.template : value;
  if (isList && template === undefined) return null;
  if (typeof template === 'string' && template.length <= MOST_TEMPLATE_CHARACTERS) return template;
  throw wrong('chat_template', `text of at most ${MOST_TEMPLATE_CHARACTERS} characters`, template, path);
}

function objectOf(value: unknown, file: string, path: string): Json {
  if (value === undefined) return {};
  if (isObject(value)) return value;
  throw wrong(file, 'an object', value, path);
}

function wrong(field: string, wanted: string, got: unknown, path: string): FormatError {
  return new FormatError('tokenizer', `${path}: ${field}: expected ${wanted}, got ${shown(got)}.`, path);
}
