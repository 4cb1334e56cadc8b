/**
 * SentencePiece's BPE as the contents of a tokenizer.json: pieces with scores become a vocabulary with merges.
 *
 * SentencePiece merges the neighbours whose piece has the highest score. A tokenizer.json lists pairs instead, so every cut of a piece into two
 * pieces is a pair, ranked by the score of the whole, of equals the longer left part first: as transformers converts them. Spaces are
 * written as U+2581; what no piece spells is written in bytes. Three sources end here: GGUF metadata, tokenizer.model, llama2.c.
 *
 * Such a text is one word, which no memory of words can speed up. Where no piece has U+2581 behind another character (in all published
 * vocabularies), no merge reaches over the beginning of a word, so that cutting there changes nothing.
 *
 * A token that is found in a text before it is cut divides it in two, and the second gets a space before it too, where texts get one: so do
 * transformers and llama.cpp, and models were trained so; SentencePiece itself does not.
 */

import { FormatError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import type { AddedToken, DecoderStep, NormalizerStep, TokenizerJson } from './tokenizer-json.ts';
import { MAX_VOCAB_SIZE } from './train-bpe.ts';

/** The kinds of a piece, by their numbers in tokenizer.model and in GGUF. */
export const PIECE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Piece {
  readonly text: string;
  readonly score: number;
  /** One of PIECE; others count as unused. */
  readonly kind: number;
}

export interface PieceOptions {
  /** A space is put before a text, so that its first word is like any other. */
  addPrefixSpace: boolean;
  /** Spaces at both ends go, and of several in a row one stays. */
  removeExtraSpaces: boolean;
}

/** The space of a piece. */
const SPACE = '\u2581';
/** Trainers stop at 16; each piece is cut at every place, so that its length counts twice. */
const LONGEST_PIECE = 512;

/** `pieces` by id. Throws FormatError that names `path` for none or too many of them, for two that are equal, and for one that is too long. */
export function tokenizerOfPieces(pieces: readonly Piece[], options: PieceOptions, path: string): TokenizerJson {
  const ids = checkedIds(pieces, path);
  const unknown = pieces.find(({ kind }) => kind === PIECE.unknown);
  const canCut = pieces.every(({ text, kind }) => kind !== PIECE.normal || !/[^\u2581]\u2581/.test(text));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(pieces, options),
    normalizer: { type: 'Sequence', normalizers: normalizers(options) },
    pre_tokenizer: canCut
      ? { type: 'Split', pattern: { Regex: `${SPACE}*[^${SPACE}]+|${SPACE}+` }, behavior: 'Isolated', invert: false }
      : null,
    post_processor: null,
    decoder: { type: 'Sequence', decoders: decoders(options) },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown?.text ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: pieces.some(({ kind }) => kind === PIECE.byte),
      ignore_merges: false,
      vocab: Object.fromEntries(ids),
      merges: mergesOf(pieces, ids),
    },
  };
}

function checkedIds(pieces: readonly Piece[], path: string): Map<string, number> {
  if (pieces.length === 0 || pieces.length > MAX_VOCAB_SIZE) {
    throw problem(path, `expected 1 .. ${MAX_VOCAB_SIZE} pieces, found ${pieces.length}`);
  }
  const ids = new Map<string, number>();
  for (const [id, { text, score, kind }] of pieces.entries()) {
    if (ids.has(text)) throw problem(path, `pieces ${ids.get(text)} and ${id} are both ${shown(text)}`);
    if (Number.isNaN(score)) throw problem(path, `the score of piece ${id} is not a number`);
    if (kind === PIECE.normal && text.length > LONGEST_PIECE) {
      throw problem(path, `piece ${id} has ${text.length} characters: expected at most ${LONGEST_PIECE}`);
    }
    ids.set(text, id);
  }
  return ids;
}

function mergesOf(pieces: readonly Piece[], ids: ReadonlyMap<string, number>): [string, string][] {
  const isNormal = (text: string) => {
    const id = ids.get(text);
    return id !== undefined && pieces[id].kind === PIECE.normal;
  };
  const merges: { score: number; left: string; right: string }[] = [];
  for (const { text, score, kind } of pieces) {
    if (kind !== PIECE.normal) continue;
    for (let at = 1; at < text.length; at++) {
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (isNormal(left) && isNormal(right)) merges.push({ score, left, right });
    }
  }
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length);
  return merges.map(({ left, right }) => [left, right]);
}

/** Control and unknown pieces are special; those of a user are found in a text before it is cut, and shown. */
function addedTokens(pieces: readonly Piece[], { addPrefixSpace }: PieceOptions): AddedToken[] {
  const plain = { single_word: false, lstrip: false, rstrip: false };
  return pieces.flatMap(({ text, kind }, id): AddedToken[] => {
    if (kind === PIECE.control || kind === PIECE.unknown) {
      return [{ id, content: text, ...plain, normalized: false, special: true }];
    }
    if (kind !== PIECE.userDefined) return [];
    // One that is spelled with U+2581 can be found only where spaces have become that.
    return [{ id, content: text, ...plain, normalized: text.includes(SPACE) && !addPrefixSpace, special: false }];
  });
}

function normalizers({ addPrefixSpace, removeExtraSpaces }: PieceOptions): NormalizerStep[] {
  const replace = (Regex: string, content: string): NormalizerStep => ({
    type: 'Replace',
    pattern: { Regex },
    content,
  });
  const steps = removeExtraSpaces ? [replace('\\A +', ''), replace(' {2,}', ' ')] : [];
  steps.push({ type: 'Replace', pattern: { String: ' ' }, content: SPACE });
  if (addPrefixSpace) steps.push({ type: 'Prepend', prepend: SPACE });
  // Last, so that nothing stays of a text without words, whether or not a library puts a space before nothing.
  if (removeExtraSpaces) steps.push(replace(`${SPACE}+\\z`, ''));
  return steps;
}

function decoders({ addPrefixSpace }: PieceOptions): DecoderStep[] {
  const steps: DecoderStep[] = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  if (addPrefixSpace) steps.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  return steps;
}

function problem(path: string, what: string): FormatError {
  return new FormatError('tokenizer', `${path}: ${what}. The vocabulary is damaged: get the file again.`, path);
}
