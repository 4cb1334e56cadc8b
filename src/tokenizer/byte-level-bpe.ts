/**
 * Byte-level BPE with a memory of words: encodes large texts about ten times as fast as the general library.
 *
 * Takes exactly the tokenizer.json that `train-bpe.ts` and GPT-2's conversion write, and nothing else: `fromJson` returns null
 * for any step that it does not know, and the caller uses the library. Words repeat (Zipf's law), so most of a text is
 * one regular expression and one Map lookup per word. Source: huggingface/tokenizers, tokenizers/src/models/bpe/word.rs.
 */

import { Heap } from '../util/heap.ts';
import { BYTE_CHARACTERS, tokenBytes, WORD_PATTERN } from './byte-level.ts';
import { MAX_VOCAB_SIZE } from './train-bpe.ts';

/** Words remembered; about 30 MB. When they are full, the memory starts anew: the frequent words are back at once. */
const MAX_CACHED_WORDS = 200_000;
/** Longer words are rulers, base64 and the like, which do not come again. In UTF-16 units. */
const MAX_CACHED_LENGTH = 64;
/** Rank and place of a merge make one number below 2^52 that sorts by rank, then by place. */
const PLACES = 2 ** 32;

interface Merge {
  rank: number;
  id: number;
}

export class ByteLevelBpe {
  readonly #byteIds: Int32Array;
  readonly #merges: ReadonlyMap<number, Merge>;
  readonly #added: ReadonlyMap<string, number>;
  /** Finds added tokens, the longest first; null where there are none. */
  readonly #addedPattern: RegExp | null;
  readonly #bytesOf: readonly (Uint8Array | undefined)[];
  readonly #encoder = new TextEncoder();
  #cache = new Map<string, readonly number[]>();

  private constructor(
    vocab: ReadonlyMap<string, number>,
    merges: readonly [string, string][],
    added: readonly Added[],
  ) {
    this.#byteIds = Int32Array.from(BYTE_CHARACTERS, (character) => vocab.get(character)!);
    this.#merges = rankMerges(vocab, merges);
    this.#added = new Map(added.map(({ content, id }) => [content, id]));
    const contents = [...this.#added.keys()].sort((a, b) => b.length - a.length);
    const alternatives = contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|');
    this.#addedPattern = contents.length === 0 ? null : new RegExp(`(${alternatives})`, 'u');
    const bytesOf: (Uint8Array | undefined)[] = [];
    for (const [token, id] of vocab) bytesOf[id] = tokenBytes(token) ?? this.#encoder.encode(token);
    for (const { content, id, special } of added) {
      bytesOf[id] = special ? new Uint8Array() : this.#encoder.encode(content);
    }
    this.#bytesOf = bytesOf;
  }

  /** Null where the configuration has any part that this class does not implement. */
  static fromJson(json: unknown): ByteLevelBpe | null {
    const config = json as Config;
    const { model } = config;
    if (!hasKnownSteps(config)) return null;
    const vocab = new Map(Object.entries(model.vocab));
    const merges = model.merges.map((merge) => (typeof merge === 'string' ? merge.split(' ', 2) : merge));
    const spelled = merges.every(([a, b]) => vocab.has(a) && vocab.has(b) && vocab.has(a + b));
    const complete = BYTE_CHARACTERS.every((character) => vocab.has(character));
    if (!spelled || !complete || vocab.size > MAX_VOCAB_SIZE) return null;
    return new ByteLevelBpe(vocab, merges as [string, string][], config.added_tokens ?? []);
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    const parts = this.#addedPattern === null ? [text] : text.split(this.#addedPattern);
    // `split` by one capturing group: text, added token, text, ...
    parts.forEach((part, i) => {
      if (i % 2 === 1) ids.push(this.#added.get(part)!);
      else this.#encodeWords(part, ids);
    });
    return ids;
  }

  /** The bytes of a token: none for special tokens, undefined outside the vocabulary. */
  bytes(id: number): Uint8Array | undefined {
    return this.#bytesOf[id];
  }

  #encodeWords(text: string, out: number[]): void {
    for (const word of text.match(WORD_PATTERN) ?? []) {
      let ids = this.#cache.get(word);
      if (ids === undefined) {
        ids = this.#merge(word);
        if (word.length <= MAX_CACHED_LENGTH) this.#remember(word, ids);
      }
      for (const id of ids) out.push(id);
    }
  }

  #remember(word: string, ids: readonly number[]): void {
    if (this.#cache.size >= MAX_CACHED_WORDS) this.#cache = new Map();
    // The word is a slice that would keep the whole text in memory; going through a join makes it a string of its own.
    this.#cache.set(Array.from(word).join(''), ids);
  }

  /** The pair of the lowest rank first, on a tie the leftmost; n log n, since a word of hostile text may be megabytes. */
  #merge(word: string): number[] {
    const ids = Array.from(this.#encoder.encode(word), (byte) => this.#byteIds[byte]);
    const next = ids.map((_, i) => i + 1);
    const previous = ids.map((_, i) => i - 1);
    const queue = new Heap<number>((a, b) => a < b);
    const mergeAt = (at: number) => this.#merges.get(pairKey(ids[at], ids[next[at]]));
    const offer = (at: number) => {
      const merge = at >= 0 && next[at] < ids.length ? mergeAt(at) : undefined;
      if (merge !== undefined) queue.push(merge.rank * PLACES + at);
    };
    for (let at = 0; at + 1 < ids.length; at++) offer(at);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const at = best % PLACES;
      const merge = ids[at] < 0 || next[at] >= ids.length ? undefined : mergeAt(at);
      // Outdated where a neighbour was merged away since; -1 marks what a merge swallowed.
      if (merge === undefined || merge.rank !== Math.floor(best / PLACES)) continue;
      const swallowed = next[at];
      ids[at] = merge.id;
      ids[swallowed] = -1;
      next[at] = next[swallowed];
      if (next[at] < ids.length) previous[next[at]] = at;
      offer(previous[at]);
      offer(at);
    }
    return ids.filter((id) => id >= 0);
  }
}

interface Added {
  id: number;
  content: string;
  special: boolean;
}

type Config = {
  added_tokens?: (Added & { single_word?: boolean; lstrip?: boolean; rstrip?: boolean })[];
  normalizer?: unknown;
  pre_tokenizer?: { type?: string; add_prefix_space?: boolean; use_regex?: boolean };
  decoder?: { type?: string };
  model: Record<string, unknown> & {
    vocab: Record<string, number>;
    merges: (string | [string, string])[];
  };
};

function hasKnownSteps({ added_tokens, normalizer, pre_tokenizer, decoder, model }: Config): boolean {
  const plain = (added_tokens ?? []).every((token) => !token.single_word && !token.lstrip && !token.rstrip);
  const options = ['dropout', 'unk_token', 'continuing_subword_prefix', 'end_of_word_suffix'];
  return (
    model.type === 'BPE' &&
    options.every((option) => (model[option] ?? '') === '') &&
    !model.byte_fallback &&
    !model.ignore_merges &&
    (normalizer ?? null) === null &&
    pre_tokenizer?.type === 'ByteLevel' &&
    pre_tokenizer.add_prefix_space === false &&
    pre_tokenizer.use_regex !== false &&
    decoder?.type === 'ByteLevel' &&
    plain
  );
}

/** Where a pair stands twice, its last place counts, as in the Rust library. */
function rankMerges(vocab: ReadonlyMap<string, number>, merges: readonly [string, string][]): Map<number, Merge> {
  const ranked = new Map<number, Merge>();
  merges.forEach(([left, right], rank) => {
    ranked.set(pairKey(vocab.get(left)!, vocab.get(right)!), { rank, id: vocab.get(left + right)! });
  });
  return ranked;
}

function pairKey(left: number, right: number): number {
  return left * MAX_VOCAB_SIZE + right;
}
