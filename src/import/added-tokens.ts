/**
 * Tokens that were added to a SentencePiece vocabulary after it was made: in `added_tokens_decoder` of tokenizer_config.json (by id, with how they are found), or in
 * added_tokens.json (ids by text), as older versions of transformers wrote them.
 */

import type { AddedToken, TokenizerJson } from '../tokenizer/tokenizer-json.ts';
import { MAX_VOCAB_SIZE } from '../tokenizer/train-bpe.ts';
import { FormatError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The tokenizer with them. `config`: the contents of tokenizer_config.json, `byText`: those of added_tokens.json, each {} where there is none. Throws FormatError that names `path`, the directory,
 * for what is no token, and for an id that another token has.
 */
export function withAddedTokens(tokenizer: TokenizerJson, config: Json, byText: Json, path: string): TokenizerJson {
  const tokens = new Map(tokenizer.added_tokens.map((token) => [token.id, token]));
  const idOf = tokenizer.model.vocab;
  const textOf = new Map(Object.entries(idOf).map(([text, id]) => [id, text]));
  for (const token of [...fromDecoder(config, path), ...fromTexts(byText, config, path)]) {
    const { id, content } = token;
    const other = textOf.get(id) ?? tokens.get(id)?.content ?? content;
    if (other !== content || (Object.hasOwn(idOf, content) && idOf[content] !== id)) {
      throw wrong(path, `the added token ${shown(content)} has the id ${id}: expected one that is its own`);
    }
    if (!tokens.has(id) || textOf.has(id)) tokens.set(id, token);
  }
  return { ...tokenizer, added_tokens: [...tokens.values()].sort((a, b) => a.id - b.id) };
}

function fromDecoder({ added_tokens_decoder: decoder }: Json, path: string): AddedToken[] {
  if (decoder === undefined || decoder === null) return [];
  if (typeof decoder !== 'object' || Array.isArray(decoder))
    throw wrong(path, 'added_tokens_decoder: expected an object');
  return Object.entries(decoder as Json).map(([id, entry]) => {
    const { content, ...flags } = (entry ?? {}) as Json;
    const flag = (name: string) => flags[name] === true;
    return {
      ...{ id: idOf(id, path), content: textOf(content, path), single_word: flag('single_word') },
      ...{ lstrip: flag('lstrip'), rstrip: flag('rstrip'), normalized: flag('normalized'), special: flag('special') },
    };
  });
}

/** Special are those that another field of the configuration names; all are taken as they stand. */
function fromTexts(byText: Json, config: Json, path: string): AddedToken[] {
  const special = new Set(
    Object.values(config)
      .flat()
      .map((value) => (value as Json | null)?.content ?? value),
  );
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
