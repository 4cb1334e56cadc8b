/**
 * Trains a byte-level BPE vocabulary: from 256 bytes, the most frequent pair of neighbours becomes a token, again and again.
 *
 * Words are counted once; after that only the words that hold the chosen pair are touched, and a heap with lazily
 * corrected counts finds the next pair. Ties go to the pair of the lower ids, and everything else that decides an outcome
 * follows the Rust trainer, so that the same text gives the same merges.
 * Source: Sennrich et al. (arXiv 1508.07909); huggingface/tokenizers, tokenizers/src/models/bpe/trainer.rs.
 */

import { UsageError } from '../util/errors.ts';
import { Heap } from '../util/heap.ts';
import { BYTE_CHARACTERS, WORD_PATTERN } from './byte-level.ts';
import { byteLevelJson } from './byte-level-json.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

export const END_OF_TEXT = '<|endoftext|>';

export interface TrainBpeOptions {
  /** Tokens in all: special ones, 256 bytes, merges. At most MAX_VOCAB_SIZE. */
  vocabSize: number;
  /** They get the first ids, in this order. Default: end of text. */
  specialTokens?: readonly string[];
  /** A pair that occurs less often is not merged. Default 2. */
  minFrequency?: number;
  /** Called about a hundred times while merging, with the tokens so far. */
  onProgress?: (progress: { tokens: number; vocabSize: number }) => void;
}

/** Pairs of ids are packed into one number below 2^53; no published vocabulary is beyond a quarter of this. */
export const MAX_VOCAB_SIZE = 2 ** 20;

/** A pair of neighbours, how often it occurs (possibly outdated: too high) and in which words it appeared. */
interface Candidate {
  pair: number;
  count: number;
  words: number[];
}

/**
 * Trains on documents (or chunks of them, cut before white space) and returns the contents of tokenizer.json.
 * Throws UsageError for a size that is no vocabulary, for documents without text, and where the text has too few pairs
 * for the size: the message says how many tokens it supports.
 */
export function trainBpe(documents: Iterable<string>, options: TrainBpeOptions): TokenizerJson {
  const { vocabSize, specialTokens = [END_OF_TEXT], minFrequency = 2 } = options;
  const special = [...new Set(specialTokens)];
  const smallest = special.length + BYTE_CHARACTERS.length;
  if (!Number.isInteger(vocabSize) || vocabSize < smallest || vocabSize > MAX_VOCAB_SIZE) {
    const range = `a whole number from ${smallest} (every byte and the special tokens) to ${MAX_VOCAB_SIZE}`;
    throw new UsageError('tokenizer', `vocabulary size: expected ${range}, got ${vocabSize}.`);
  }
  const wordCounts = countWords(documents);
  if (wordCounts.size === 0) {
    throw new UsageError('tokenizer', 'there is no text to train on: expected at least one character. Check --text.');
  }
  // The order of the Rust trainer: special tokens, then the alphabet by code point.
  const tokens = [...special, ...[...BYTE_CHARACTERS].sort()];
  const merges = new Merger(wordCounts, tokens).run(vocabSize, minFrequency, options.onProgress);
  if (tokens.length < vocabSize) {
    const what = `the text supports ${tokens.length} tokens (pairs that occur ${minFrequency} times or more)`;
    throw new UsageError('tokenizer', `${what}, not ${vocabSize}. Ask for at most ${tokens.length} or give more text.`);
  }
  return byteLevelJson({
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges,
    added: special.map((content, id) => ({ id, content, special: true })),
  });
}

function countWords(documents: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const document of documents) {
    for (const word of document.match(WORD_PATTERN) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

class Merger {
  /** The ids of each distinct word, shrinking as pairs merge. */
  readonly #words: number[][] = [];
  readonly #wordCounts: number[] = [];
  readonly #tokens: string[];
  readonly #ids: Map<string, number>;
  readonly #pairCounts = new Map<number, number>();
  readonly #queue = new Heap<Candidate>((a, b) => a.count > b.count || (a.count === b.count && a.pair < b.pair));
  /** Words of the pairs that appeared since the queue was last filled. */
  #appeared = new Map<number, number[]>();

  /** `tokens` holds the special tokens and the alphabet, and grows by the merges. */
  constructor(wordCounts: ReadonlyMap<string, number>, tokens: string[]) {
    this.#tokens = tokens;
    this.#ids = new Map(tokens.map((token, id) => [token, id]));
    const byteIds = BYTE_CHARACTERS.map((character) => this.#ids.get(character)!);
    const encoder = new TextEncoder();
    for (const [word, count] of wordCounts) {
      const ids = Array.from(encoder.encode(word), (byte) => byteIds[byte]);
      this.#words.push(ids);
      this.#wordCounts.push(count);
      for (let i = 0; i + 1 < ids.length; i++) {
        this.#count(packPair(ids[i], ids[i + 1]), 1, this.#words.length - 1);
      }
    }
    this.#enqueue();
  }

  run(vocabSize: number, minFrequency: number, onProgress: TrainBpeOptions['onProgress']): [string, string][] {
    const tokens = this.#tokens;
    const every = Math.ceil((vocabSize - tokens.length) / 100);
    const start = tokens.length;
    // A pair can come up twice when its token can be spelled in two ways; its later place counts, as in the Rust model.
    const merges = new Map<number, [string, string]>();
    while (tokens.length < vocabSize) {
      const top = this.#queue.pop();
      if (top === undefined) break;
      const count = this.#pairCounts.get(top.pair)!;
      if (top.count !== count) {
        this.#queue.push({ ...top, count });
        continue;
      }
      if (count < Math.max(1, minFrequency)) break;
      const [left, right] = unpackPair(top.pair);
      merges.delete(top.pair);
      merges.set(top.pair, [tokens[left], tokens[right]]);
      const id = this.#tokenId(tokens[left] + tokens[right]);
      for (const word of top.words) this.#mergeIn(word, left, right, id);
      this.#enqueue();
      if (onProgress && (tokens.length - start) % every === 0) onProgress({ tokens: tokens.length, vocabSize });
    }
    return [...merges.values()];
  }

  #tokenId(token: string): number {
    const known = this.#ids.get(token);
    if (known !== undefined) return known;
    this.#ids.set(token, this.#tokens.length);
    return this.#tokens.push(token) - 1;
  }

  #mergeIn(word: number, left: number, right: number, merged: number): void {
    const ids = this.#words[word];
    let end = 0;
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] !== left || ids[i + 1] !== right) {
        ids[end++] = ids[i];
        continue;
      }
      if (end > 0) {
        this.#count(packPair(ids[end - 1], left), -1, word);
        this.#count(packPair(ids[end - 1], merged), 1, word);
      }
      i++;
      if (i + 1 < ids.length) {
        this.#count(packPair(right, ids[i + 1]), -1, word);
        this.#count(packPair(merged, ids[i + 1]), 1, word);
      }
      ids[end++] = merged;
    }
    ids.length = end;
  }

  /** One more (or less) occurrence of a pair in a word. */
  #count(pair: number, change: 1 | -1, word: number): void {
    this.#pairCounts.set(pair, (this.#pairCounts.get(pair) ?? 0) + change * this.#wordCounts[word]);
    if (change < 0) return;
    const words = this.#appeared.get(pair);
    if (words === undefined) this.#appeared.set(pair, [word]);
    else if (words[words.length - 1] !== word) words.push(word);
  }

  #enqueue(): void {
    for (const [pair, words] of this.#appeared) {
      const count = this.#pairCounts.get(pair)!;
      if (count > 0) this.#queue.push({ pair, count, words });
    }
    this.#appeared = new Map();
  }
}

/** Packed so that numbers compare as pairs do. */
function packPair(left: number, right: number): number {
  return left * MAX_VOCAB_SIZE + right;
}

function unpackPair(pair: number): [number, number] {
  return [Math.floor(pair / MAX_VOCAB_SIZE), pair % MAX_VOCAB_SIZE];
}
