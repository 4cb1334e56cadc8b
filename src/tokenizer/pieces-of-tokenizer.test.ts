import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type FallbackTokenizer, piecesOfTokenizer } from './pieces-of-tokenizer.ts';
import { readSentencePieceModel } from './sentencepiece-model.ts';
import { PIECE, type Piece, tokenizerOfPieces } from './sentencepiece-pieces.ts';

const BYTES = Array.from({ length: 256 }, (_, byte): Piece => {
  return { text: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, score: 0, kind: PIECE.byte };
});
const normal = (text: string, score: number): Piece => ({ text, score, kind: PIECE.normal });
const PIECES: Piece[] = [
  { text: '<unk>', score: 0, kind: PIECE.unknown },
  { text: '<s>', score: 0, kind: PIECE.control },
  ...BYTES,
  // "the" before "th" although "th" comes first in making it: the score alone decides.
  ...[normal('\u2581the', -0.5), normal('the', -1), normal('th', -2), normal('he', -2.5), normal('\u2581t', -3)],
  ...[normal('t', -9), normal('h', -9), normal('e', -9), normal('\u2581', -9)],
  { text: '<user>', score: 0, kind: PIECE.userDefined },
];
const OPTIONS = { addPrefixSpace: true, removeExtraSpaces: false };
const tokenizer = (pieces = PIECES, options = OPTIONS) =>
  tokenizerOfPieces(pieces, options, 'test') as unknown as FallbackTokenizer;

describe('piecesOfTokenizer', () => {
  it('finds kinds again, and scores in the same order', () => {
    const found = piecesOfTokenizer(tokenizer());
    if (typeof found === 'string') throw new Error(found);
    expect(found.addPrefixSpace).toBe(true);
    expect(found.pieces.map(({ text, kind }) => ({ text, kind }))).toEqual(
      PIECES.map(({ text, kind }) => ({ text, kind })),
    );
    const byScore = (pieces: readonly Piece[]) =>
      ['\u2581t', 'th', 'he', 'the', '\u2581the'].toSorted(
        (a, b) => pieces.find(({ text }) => text === b)!.score - pieces.find(({ text }) => text === a)!.score,
      );
    expect(byScore(found.pieces)).toEqual(['\u2581the', 'the', 'th', 'he', '\u2581t']);
    expect(byScore(found.pieces)).toEqual(byScore(PIECES));
  });

  it('gives pieces that make the same tokenizer, of every SentencePiece model whose spaces stay', () => {
    const file = fileURLToPath(new URL('../../test/golden/data/sentencepiece/no-prefix.model', import.meta.url));
    const published = readSentencePieceModel(readFileSync(file), file).tokenizer as unknown as FallbackTokenizer;
    // SentencePiece's own settings remove spaces; what is left of the tokenizer is as it is in GGUF.
    const { normalizer = null } = tokenizer(PIECES, { ...OPTIONS, addPrefixSpace: false });
    const source = { ...published, normalizer };
    const found = piecesOfTokenizer(source);
    if (typeof found === 'string') throw new Error(found);
    const again = tokenizer([...found.pieces], { ...OPTIONS, addPrefixSpace: false });
    expect(again.model).toEqual(source.model);
    expect(again.added_tokens).toEqual(source.added_tokens);
  });

  it('fills ids between those of tokens with pieces that are never used', () => {
    const good = tokenizer();
    const last = PIECES.length + 3;
    const added = [...good.added_tokens!, { id: last, content: '[PAD]', special: true }];
    const found = piecesOfTokenizer({ ...good, added_tokens: added });
    if (typeof found === 'string') throw new Error(found);
    expect(found.pieces).toHaveLength(last + 1);
    expect(found.pieces[last - 1]).toMatchObject({ kind: PIECE.unused });
    expect(found.pieces[last]).toMatchObject({ text: '[PAD]', kind: PIECE.control });
  });

  it('says why there are none', () => {
    const good = tokenizer();
    const { model } = good;
    const merges = model.merges as [string, string][];
    const cases: [FallbackTokenizer, RegExp][] = [
      [tokenizer(PIECES, { ...OPTIONS, removeExtraSpaces: true }), /changes texts by more than spaces/],
      [{ ...good, normalizer: { type: 'NFKC' } }, /changes texts by more than spaces/],
      [{ ...good, pre_tokenizer: { type: 'Metaspace' } }, /cuts texts into words/],
      [{ ...good, model: { ...model, ignore_merges: true } }, /ignore_merges/],
      [tokenizer(PIECES.filter(({ text }) => text !== '<0x41>')), /no token for each byte/],
      [{ ...good, model: { ...model, merges: merges.slice(1) } }, /are neighbours that it does not merge/],
      [
        { ...good, model: { ...model, merges: [...merges.slice(1), merges[0]] } },
        /merges that make "▁the" do not stand/,
      ],
    ];
    for (const [one, message] of cases) expect(piecesOfTokenizer(one)).toMatch(message);
  });
});
