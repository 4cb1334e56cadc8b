/**
 * Tokens that were added to a SentencePiece vocabulary after it was made: in `added_tokens_decoder` of tokenizer_config.json (by id, with how they are found), or where that is missing in
 * added_tokens.json (ids by text), as older versions of transformers wrote them. Which file counts, as in transformers.
 */

import type { AddedToken, TokenizerJson } from '../tokenizer/tokenizer-json.ts';
import { MAX_VOCAB_SIZE } from '../tokenizer/train-bpe.ts';
import { FormatError } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import { shown } from '../util/problems.ts';

type Json = Readonly<Record<string, unknown>>;

/** The contents of the files, {} for those that are not there. */
export interface AddedTokenFiles {
  /** tokenizer_config.json */
  readonly config: Json;
  /** added_tokens.json */
  readonly byText: Json;
  /** special_tokens_map.json */
  readonly specialTokens: Json;
}

/** The tokenizer with them. Throws FormatError that names `path`, the directory, for what is no token, and for an id that another token has. */
export function withAddedTokens(
  tokenizer: TokenizerJson,
  { config, byText, specialTokens }: AddedTokenFiles,
  path: string,
): TokenizerJson {
  const tokens = new Map(tokenizer.added_tokens.map((token) => [token.id, token]));
  const idOf = tokenizer.model.vocab;
  const textOf = new Map(Object.entries(idOf).map(([text, id]) => [id, text]));
  const decoder = config.added_tokens_decoder ?? null;
  const added = decoder === null ? fromTexts(byText, [config, specialTokens], path) : fromDecoder(decoder, path);
  for (const token of added) {
    const { id, content } = token;
    const known = tokens.get(id);
    const other = textOf.get(id) ?? known?.content ?? content;
    if (other !== content || (Object.hasOwn(idOf, content) && idOf[content] !== id)) {
      throw wrong(path, `the added token ${shown(content)} has the id ${id}: expected one that is its own`);
    }
    // What the vocabulary calls a control piece is no text, whatever is said of it later.
    tokens.set(id, { ...token, special: token.special || (known?.special ?? false) });
  }
  return { ...tokenizer, added_tokens: [...tokens.values()].sort((a, b) => a.id - b.id) };
}

function fromDecoder(decoder: unknown, path: string): AddedToken[] {
  if (!isObject(decoder)) throw wrong(path, 'added_tokens_decoder: expected an object');
  return Object.entries(decoder).map(([id, entry]) => {
    const { content, ...flags } = (entry ?? {}) as Json;
    const flag = (name: string) => flags[name] === true;
    return {
      ...{ id: idOf(id, path), content: textOf(content, path), single_word: flag('single_word') },
      ...{ lstrip: flag('lstrip'), rstrip: flag('rstrip'), normalized: flag('normalized'), special: flag('special') },
    };
  });
}

/** Special are those that another file names; all are taken as they stand. */
function fromTexts(byText: Json, naming: readonly Json[], path: string): AddedToken[] {
  const named = naming.flatMap((file) => Object.values(file)).flat();
  const special = new Set(named.map((value) => (isObject(value) ? value.content : value)));
  return Object.entries(byText).map(([content, id]) => ({
    ...{ id: idOf(id, path), content: textOf(content, path), single_word: false, lstrip: false, rstrip: false },
    ...{ normalized: false, special: special.has(content) },
  }));
}

function idOf(given: unknown, path: string): number {
  const id = typeof given === 'string' && /^\d{1,9}$/.test(given) ? Number(given) : given;
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_VOCAB_SIZE) return id as number;
  throw wrong(path, `added tokens: expected ids below ${MAX_VOCAB_SIZE}, got ${shown(given)}`);
}

function textOf(content: unknown, path: string): string {
  if (typeof content === 'string' && content !== '') return content;
  throw wrong(path, `added tokens: expected the text of a token, got ${shown(content)}`);
}

function wrong(path: string, what: string): FormatError {
  return new FormatError('tokenizer', `${path}: ${what}. Are these files of one model?`, path);
}
