/**
 * tokenizerOfGguf: the tokenizer of a GGUF file, which lies in its metadata, as the contents of a tokenizer.json and of what goes with it.
 *
 * `tokenizer.ggml.model` says of which kind it is: "llama" (SentencePiece's BPE: pieces with scores, bytes for the rest) or "gpt2" (byte-level BPE
 * with its merges). What a file leaves out has the defaults of llama.cpp, the program that files are made for. Metadata comes
 * from a file and is checked here; reading it belongs to the file format. Source: ggml docs/gguf.md; llama.cpp, src/llama-vocab.cpp.
 */

import { FormatError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import { byteLevelJson } from './byte-level-json.ts';
import { type PreTokenizer, preTokenizer } from './pre-tokenizers.ts';
import { PIECE, type Piece, tokenizerOfPieces } from './sentencepiece-pieces.ts';
import { readTokenizerConfig, type TokenizerFiles } from './tokenizer-config.ts';
import type { TokenizerJson } from './tokenizer-json.ts';
import { MAX_VOCAB_SIZE } from './train-bpe.ts';

/** Key to value: numbers, bigints, strings, booleans, and arrays or typed arrays of them. */
export type GgufMetadata = ReadonlyMap<string, unknown>;

/** Several models end an answer with another token than a text; files name it in `eot_token_id`, or only spell it. */
const ENDS_OF_TURN = [
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|eom_id|>',
  '<EOT>',
  '<｜end▁of▁sentence｜>',
];

/** Published vocabularies have up to 1.5 merges for each token. */
const MOST_MERGES = 4 * MAX_VOCAB_SIZE;

/** Throws FormatError that names `path` and the key where something is missing, wrong or not supported. */
export function tokenizerOfGguf(metadata: GgufMetadata, path: string): TokenizerFiles {
  const fields = new Fields(metadata, path);
  const model = fields.text('tokenizer.ggml.model') ?? fields.fail('tokenizer.ggml.model', 'a name', undefined);
  if (model !== 'llama' && model !== 'gpt2') {
    throw new FormatError(
      'tokenizer',
      `${path}: tokenizer.ggml.model "${model}" is not supported: expected llama or gpt2. Use the model with its tokenizer.json.`,
      path,
    );
  }
  const pieces = readPieces(fields);
  if (model === 'llama') {
    const addPrefixSpace = fields.flag('tokenizer.ggml.add_space_prefix') ?? true;
    const removeExtraSpaces = fields.flag('tokenizer.ggml.remove_extra_whitespaces') ?? false;
    const tokenizer = tokenizerOfPieces(pieces, { addPrefixSpace, removeExtraSpaces }, path);
    return { tokenizer, tokenizerConfig: configOf(fields, pieces, tokenizer, { bos: 1, eos: 2, addBos: true }) };
  }
  const pre = preTokenizer(fields.text('tokenizer.ggml.pre') ?? 'default', path);
  const tokenizer = bytePiecesJson(fields, pieces, pre);
  return { tokenizer, tokenizerConfig: configOf(fields, pieces, tokenizer, { addBos: pre.addBos }) };
}

function readPieces(fields: Fields): Piece[] {
  const tokens = fields.list('tokenizer.ggml.tokens', MAX_VOCAB_SIZE);
  if (tokens === undefined || tokens.length === 0)
    return fields.fail('tokenizer.ggml.tokens', 'a list of tokens', tokens);
  const scores = fields.list('tokenizer.ggml.scores', MAX_VOCAB_SIZE);
  const kinds = fields.list('tokenizer.ggml.token_type', MAX_VOCAB_SIZE);
  for (const [key, list] of [
    ['scores', scores],
    ['token_type', kinds],
  ] as const) {
    if (list !== undefined && list.length !== tokens.length) {
      fields.fail(`tokenizer.ggml.${key}`, `${tokens.length} values, one for each token`, list.length);
    }
  }
  return Array.from(tokens, (token, id) => {
    if (typeof token !== 'string') return fields.fail(`tokenizer.ggml.tokens[${id}]`, 'text', token);
    const score = scores?.[id] ?? 0;
    const kind = Number(kinds?.[id] ?? PIECE.normal);
    if (typeof score !== 'number') return fields.fail(`tokenizer.ggml.scores[${id}]`, 'a number', score);
    // An empty token stands for nothing, but its id must stay taken.
    return token === '' ? { text: `[EMPTY_${id}]`, score, kind: PIECE.unused } : { text: token, score, kind };
  });
}

function bytePiecesJson(fields: Fields, pieces: readonly Piece[], pre: PreTokenizer): TokenizerJson {
  const ids = new Map(pieces.map(({ text }, id) => [text, id]));
  if (ids.size < pieces.length) {
    const twice = pieces.findIndex(({ text }, id) => ids.get(text) !== id);
    fields.fail(`tokenizer.ggml.tokens[${twice}]`, 'every token once', pieces[twice].text);
  }
  return byteLevelJson({
    vocab: Object.fromEntries(ids),
    merges: readMerges(fields, ids),
    added: pieces.flatMap(({ text, kind }, id) =>
      kind === PIECE.control || kind === PIECE.userDefined
        ? [{ id, content: text, special: kind === PIECE.control }]
        : [],
    ),
    preTokenizer: pre.step,
    ignoreMerges: pre.ignoreMerges,
  });
}

function readMerges(fields: Fields, ids: ReadonlyMap<string, number>): [string, string][] {
  const key = 'tokenizer.ggml.merges';
  const merges = fields.list(key, MOST_MERGES);
  if (merges === undefined) return fields.fail(key, 'a list of pairs', undefined);
  return Array.from(merges, (merge, i) => {
    // A token may begin with a space, but the one between the two is never the first character.
    const at = typeof merge === 'string' ? merge.indexOf(' ', 1) : -1;
    if (at < 0) return fields.fail(`${key}[${i}]`, 'two tokens with a space between them', merge);
    const pair: [string, string] = [(merge as string).slice(0, at), (merge as string).slice(at + 1)];
    for (const token of [...pair, pair.join('')]) {
      if (!ids.has(token)) fields.fail(`${key}[${i}]`, 'tokens of the vocabulary', token);
    }
    return pair;
  });
}

interface Defaults {
  bos?: number;
  eos?: number;
  addBos: boolean;
}

function configOf(fields: Fields, pieces: readonly Piece[], tokenizer: TokenizerJson, defaults: Defaults) {
  const tokenAt = (key: string, otherwise?: number) => {
    const id = fields.id(`tokenizer.ggml.${key}_token_id`, pieces.length) ?? otherwise;
    return id === undefined || id >= pieces.length ? undefined : id;
  };
  const [bos, eos] = [tokenAt('bos', defaults.bos), tokenAt('eos', defaults.eos)];
  const ends = [eos, tokenAt('eot'), tokenAt('eom')];
  for (const [id, { text, kind }] of pieces.entries()) {
    if (kind === PIECE.control && ENDS_OF_TURN.includes(text)) ends.push(id);
  }
  const tokenizerConfig = {
    bos_token: bos === undefined ? null : pieces[bos].text,
    eos_token: eos === undefined ? null : pieces[eos].text,
    add_bos_token: bos !== undefined && (fields.flag('tokenizer.ggml.add_bos_token') ?? defaults.addBos),
    chat_template: fields.text('tokenizer.chat_template') ?? null,
    eosTokenIds: [...new Set(ends.filter((id) => id !== undefined))],
  };
  return readTokenizerConfig({ tokenizer, tokenizerConfig }, fields.path);
}

/** The metadata with a check at each value; a key that is not there is undefined. */
class Fields {
  readonly path: string;
  readonly #metadata: GgufMetadata;

  constructor(metadata: GgufMetadata, path: string) {
    this.#metadata = metadata;
    this.path = path;
  }

  text(key: string): string | undefined {
    const value = this.#metadata.get(key);
    return value === undefined || typeof value === 'string' ? value : this.fail(key, 'text', value);
  }

  flag(key: string): boolean | undefined {
    const value = this.#metadata.get(key);
    return value === undefined || typeof value === 'boolean' ? value : this.fail(key, 'true or false', value);
  }

  /** undefined also for the numbers beyond the vocabulary with which some files say that there is none. */
  id(key: string, vocabSize: number): number | undefined {
    const value = this.#metadata.get(key);
    if (value === undefined) return undefined;
    const id = typeof value === 'bigint' ? Number(value) : value;
    if (typeof id !== 'number' || !Number.isInteger(id)) return this.fail(key, 'a token id', value);
    return id >= 0 && id < vocabSize ? id : undefined;
  }

  list(key: string, most: number): ArrayLike<unknown> | undefined {
    const value = this.#metadata.get(key);
    if (value === undefined) return undefined;
    const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
    if (!isList) return this.fail(key, 'a list', value);
    const list = value as unknown as ArrayLike<unknown>;
    return list.length <= most ? list : this.fail(key, `at most ${most} values`, list.length);
  }

  fail(key: string, wanted: string, got: unknown): never {
    const found = got === undefined ? 'nothing' : shown(got);
    throw new FormatError('tokenizer', `${this.path}: ${key}: expected ${wanted}, got ${found}.`, this.path);
  }
}
