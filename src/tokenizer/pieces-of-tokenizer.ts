/**
 * piecesOfTokenizer: the pieces and scores of SentencePiece behind a tokenizer.json with bytes as a fallback, the way back of `tokenizerOfPieces`.
 *
 * A tokenizer.json merges by a list of pairs, SentencePiece whatever two neighbours are together the piece of the highest score. The two
 * agree where all pairs of one piece stand together in the list, and every cut of a piece into two pieces is among them: then the place of a piece in the list
 * is its score. Where they do not agree there are no such pieces, and the reason is told.
 */

import { PIECE, type Piece } from './sentencepiece-pieces.ts';

export interface PiecesOfTokenizer {
  /** By id; ids between those of tokens are pieces that are never used. */
  readonly pieces: readonly Piece[];
  /** A space is put before a text. */
  readonly addPrefixSpace: boolean;
}

interface Step {
  type?: string;
  pattern?: { String?: string; Regex?: string };
  content?: string;
  prepend?: string;
  normalizers?: Step[];
}

/** The parts of a tokenizer.json that are looked at. */
export interface FallbackTokenizer {
  added_tokens?: { id: number; content: string; special: boolean }[];
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
  model: {
    unk_token?: string | null;
    ignore_merges?: boolean;
    vocab: Record<string, number>;
    merges: (string | [string, string])[];
  };
}

const SPACE = '\u2581';
/** The cut in front of words that changes nothing (sentencepiece-pieces.ts). */
const CUT_AT_WORDS = `${SPACE}*[^${SPACE}]+|${SPACE}+`;
const BYTE = /^<0x[0-9A-F]{2}>$/;

/** A text where there are no such pieces: why. */
export function piecesOfTokenizer(tokenizer: FallbackTokenizer): PiecesOfTokenizer | string {
  const { model, pre_tokenizer } = tokenizer;
  const addPrefixSpace = prefixSpaceOf(tokenizer.normalizer);
  if (addPrefixSpace === null) return 'it changes texts by more than spaces for U+2581 and one at the beginning';
  if (pre_tokenizer && !(pre_tokenizer.type === 'Split' && pre_tokenizer.pattern?.Regex === CUT_AT_WORDS)) {
    return 'it cuts texts into words before it merges';
  }
  if (model.ignore_merges) return 'it takes words that are tokens whole (ignore_merges)';
  const pieces = kindsOf(tokenizer);
  if (pieces.filter((piece) => piece?.kind === PIECE.byte).length !== 256) return 'it has no token for each byte';
  const merges = model.merges.map((merge) => (typeof merge === 'string' ? pairOf(merge) : merge));
  const scores = scoresOf(merges);
  if (typeof scores === 'string') return scores;
  const missing = missingMerge(pieces, merges);
  if (missing !== null) return `${missing} are neighbours that it does not merge, though together they are a token`;
  const last = -scores.size;
  return { addPrefixSpace, pieces: pieces.map((piece) => ({ ...piece, score: scores.get(piece.text) ?? last })) };
}

/** null for other steps than those two. */
function prefixSpaceOf(normalizer: Step | null | undefined): boolean | null {
  const steps = normalizer?.type === 'Sequence' ? (normalizer.normalizers ?? []) : normalizer ? [normalizer] : [];
  const isReplace = ({ type, pattern, content }: Step) =>
    type === 'Replace' && pattern?.String === ' ' && content === SPACE;
  const isPrepend = ({ type, prepend }: Step) => type === 'Prepend' && prepend === SPACE;
  const prepends = steps.filter(isPrepend).length;
  const replaces = steps.filter(isReplace).length;
  return replaces === 1 && prepends <= 1 && steps.length === replaces + prepends ? prepends === 1 : null;
}

function kindsOf({ model, added_tokens = [] }: FallbackTokenizer): Piece[] {
  const pieces: Piece[] = [];
  for (const [text, id] of Object.entries(model.vocab)) {
    pieces[id] = { text, score: 0, kind: BYTE.test(text) ? PIECE.byte : PIECE.normal };
  }
  for (const { id, content, special } of added_tokens) {
    pieces[id] = { text: content, score: 0, kind: special ? PIECE.control : PIECE.userDefined };
  }
  return Array.from(pieces, (piece: Piece | undefined, id) => {
    if (piece === undefined) return { text: `[PAD${id}]`, score: 0, kind: PIECE.unused };
    return piece.text === model.unk_token ? { ...piece, kind: PIECE.unknown } : piece;
  });
}

/** A token may begin with a space, but the one between the two is never the first character. */
function pairOf(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

/** By what is merged: 0 for the first, -1 for the next. */
function scoresOf(merges: readonly (readonly [string, string])[]): Map<string, number> | string {
  const scores = new Map<string, number>();
  let last: string | undefined;
  for (const pair of merges) {
    const whole = pair.join('');
    if (whole === last) continue;
    if (scores.has(whole)) return `its merges that make ${JSON.stringify(whole)} do not stand together`;
    scores.set(whole, -scores.size);
    last = whole;
  }
  return scores;
}

/** Two tokens that SentencePiece would merge and the list does not. */
function missingMerge(pieces: readonly Piece[], merges: readonly (readonly [string, string])[]): string | null {
  const normal = new Set(pieces.flatMap(({ text, kind }) => (kind === PIECE.normal ? [text] : [])));
  const listed = new Map<string, Set<number>>();
  for (const [left, right] of merges) {
    const cuts = listed.get(left + right) ?? new Set();
    listed.set(left + right, cuts.add(left.length));
  }
  for (const text of normal) {
    for (let at = 1; at < text.length; at++) {
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (!normal.has(left) || !normal.has(right) || listed.get(text)?.has(at)) continue;
      return `${JSON.stringify(left)} and ${JSON.stringify(right)}`;
    }
  }
  return null;
}
