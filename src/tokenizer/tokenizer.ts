/**
 * The tokenizer of a model: text to ids and back, from the contents of a Hugging Face tokenizer.json.
 *
 * Byte-level BPE as this project trains it runs in `byte-level-bpe.ts`; every other configuration runs in the library
 * @huggingface/tokenizers. Both give the same ids. `encode` puts no special tokens around a text; those that stand in it are
 * recognised. `encodePrompt` begins it as the model saw texts begin. Decoding leaves special tokens out and never tidies spaces: text
 * comes back as it was.
 */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { FormatError, messageOf } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import { ByteLevelBpe } from './byte-level-bpe.ts';
import { libraryJson } from './library-json.ts';
import { type TokenTable, tokenBytesOf } from './token-bytes.ts';
import type { TokenizerConfig } from './tokenizer-config.ts';
import { END_OF_TEXT, MAX_VOCAB_SIZE } from './train-bpe.ts';

/** Text that appears as its tokens do: `push` returns what has become readable, `flush` what is left at the end. */
export interface DecodeStream {
  push(id: number): string;
  flush(): string;
}

/** What stands for bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd';

export class Tokenizer {
  /** The contents of tokenizer.json. */
  readonly json: object;
  /** One more than the highest id. */
  readonly vocabSize: number;
  /** The id of `<|endoftext|>`, null where there is none. */
  readonly endOfText: number | null;
  /** The id of the token that begins a text, null where there is none. */
  readonly bos: number | null;
  /** All tokens that end a text: `endOfText`, and those of the configuration. */
  readonly endIds: readonly number[];
  /** Of a model of another program; null for a tokenizer that was trained here. */
  readonly config: TokenizerConfig | null;
  readonly #ids: ReadonlySet<number>;
  readonly #fast: ByteLevelBpe | null;
  readonly #library: () => LibraryTokenizer;
  readonly #tokenBytes: () => readonly (Uint8Array | null)[];

  private constructor(json: TokenizerFile, config: TokenizerConfig | null) {
    this.json = json;
    const { vocab } = json.model;
    const idOf = new Map(Array.isArray(vocab) ? vocab.map(([token], id) => [token, id]) : Object.entries(vocab));
    for (const { content, id } of json.added_tokens ?? []) idOf.set(content, id);
    let highest = -1;
    for (const [token, id] of idOf) {
      // Tables by id are as long as the highest of them.
      if (!(Number.isInteger(id) && id >= 0 && id < MAX_VOCAB_SIZE)) {
        throw new Error(`the id of ${shown(token)} is ${shown(id)}: expected one of 0 .. ${MAX_VOCAB_SIZE - 1}`);
      }
      highest = Math.max(highest, id);
    }
    this.#ids = new Set(idOf.values());
    this.vocabSize = highest + 1;
    this.config = config;
    this.endOfText = idOf.get(END_OF_TEXT) ?? null;
    this.bos = idOf.get(config?.bos_token ?? '') ?? null;
    const ends = [...(config?.eosTokenIds ?? []), idOf.get(config?.eos_token ?? ''), this.endOfText];
    this.endIds = [...new Set(ends.filter((id) => id !== undefined && id !== null))];
    this.#fast = ByteLevelBpe.fromJson(json);
    this.#library = lazily(() => new LibraryTokenizer({ added_tokens: [], ...libraryJson(json) }, {}));
    if (this.#fast === null) this.#library();
    this.#tokenBytes = lazily(() => tokenBytesOf(json));
  }

  /** Throws FormatError that names `path`, where `json` came from, if it is no tokenizer that can be used. */
  static fromJson(json: unknown, path = 'tokenizer.json', config: TokenizerConfig | null = null): Tokenizer {
    const vocab = (json as Partial<TokenizerFile> | null)?.model?.vocab;
    if (typeof vocab !== 'object' || vocab === null) {
      const what = 'expected the contents of a tokenizer.json with model.vocab, found none';
      throw new FormatError('tokenizer', `${path}: ${what}. Give another file.`, path);
    }
    try {
      return new Tokenizer(json as TokenizerFile, config);
    } catch (error) {
      const what = `cannot be used as a tokenizer: ${messageOf(error)}`;
      throw new FormatError('tokenizer', `${path} ${what}. Is it complete?`, path, { cause: error });
    }
  }

  /** Empty for empty text. Unpaired surrogates count as U+FFFD. */
  encode(text: string): number[] {
    if (this.#fast !== null) return this.#fast.encode(text);
    return text === '' ? [] : this.#library().encode(text, { add_special_tokens: false }).ids;
  }

  /**
   * The ids of a text that a model is to continue: BOS before it where the configuration says so and the text does not begin with it. Where
   * nothing stands before the first token to come, for empty text, the token that begins or ends texts; none where there is neither.
   */
  encodePrompt(text: string): number[] {
    const ids = this.encode(text);
    const { bos } = this;
    if (bos !== null && this.config?.add_bos_token && ids[0] !== bos) return [bos, ...ids];
    if (ids.length > 0) return ids;
    const first = bos ?? this.endOfText ?? this.endIds[0];
    return first === undefined ? [] : [first];
  }

  /** Bytes that are no UTF-8, and ids outside the vocabulary, come out as U+FFFD. */
  decode(ids: Iterable<number>): string {
    if (this.#fast === null) return this.#decodeByLibrary([...ids]);
    const stream = this.decodeStream();
    let text = '';
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  /**
   * Decodes token by token; a character that is spread over several tokens appears with its last one. `before` are the ids that stand before
   * the first: some tokenizers drop a space at the beginning of a text, which belongs to it in the middle.
   */
  decodeStream(before: readonly number[] = []): DecodeStream {
    return this.#fast !== null ? byteStream(this.#fast) : textStream((ids) => this.#decodeByLibrary(ids), before);
  }

  /**
   * What a token adds in the middle of a text, which need not be whole characters; null for special tokens and ids outside the vocabulary.
   * Throws UsageError for a tokenizer whose tokens have no bytes of their own.
   */
  tokenBytes(id: number): Uint8Array | null {
    return this.#tokenBytes()[id] ?? null;
  }

  /** What the library makes of an id that it does not know depends on the decoder, as far as errors: it gets none. */
  #decodeByLibrary(ids: number[]): string {
    let text = '';
    let known: number[] = [];
    const flush = () => {
      const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
      if (known.length > 0) text += this.#library().decode(known, options);
      known = [];
    };
    for (const id of ids) {
      if (this.#ids.has(id)) {
        known.push(id);
        continue;
      }
      flush();
      text += REPLACEMENT;
    }
    flush();
    return text;
  }
}

type TokenizerFile = TokenTable;

function byteStream(bpe: ByteLevelBpe): DecodeStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const push = (id: number) => {
    const bytes = bpe.bytes(id);
    return bytes === undefined ? decoder.decode() + REPLACEMENT : decoder.decode(bytes, { stream: true });
  };
  return { push, flush: () => decoder.decode() };
}

/**
 * For decoders that only take whole lists: the new text is what a token adds to the text of those before it. A few
 * shown tokens stay as context, since a decoder may treat the first one differently.
 */
function textStream(decode: (ids: number[]) => string, before: readonly number[]): DecodeStream {
  const contextTokens = 8;
  let ids = before.slice(-contextTokens);
  let shown = ids.length;
  const take = (text: string) => {
    const piece = text.slice(decode(ids.slice(0, shown)).length);
    ids = ids.slice(-contextTokens);
    shown = ids.length;
    return piece;
  };
  const push = (id: number) => {
    ids.push(id);
    const text = decode(ids);
    return text.endsWith(REPLACEMENT) ? '' : take(text);
  };
  return { push, flush: () => take(decode(ids)) };
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
