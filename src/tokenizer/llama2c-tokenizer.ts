/**
 * readLlama2cTokenizer: the `tokenizer.bin` of llama2.c becomes the contents of a tokenizer.json.
 *
 * The file is a u32, then for each piece an f32 score, an i32 length and its bytes, spaces as spaces; ids 0, 1 and 2 are unknown, BOS and EOS, and
 * 3 .. 258 the bytes. An older export writes those not as `<0x41>` but as the character of that code, so that 204 texts occur twice
 * in it: the byte pieces are known by their ids and get their names here, whatever the file says.
 * Source: karpathy/llama2.c, tokenizer.py (`export`) and run.c (`build_tokenizer`).
 */

import { FormatError } from '../util/errors.ts';
import { PIECE, type Piece, tokenizerOfPieces } from './sentencepiece-pieces.ts';
import type { TokenizerFiles } from './tokenizer-config.ts';

const SPECIAL = ['<unk>', '<s>', '</s>'] as const;
const [BOS, EOS] = [1, 2];
const FIRST_BYTE = 3;
/** Pieces have up to 27 bytes; what is beyond this is no length. */
const MOST_PIECE_BYTES = 4096;

/**
 * `vocabSize` is the model's: the file does not say how many pieces it has. Throws FormatError that names `path` and the byte where it holds
 * fewer or more, or no such list.
 */
export function readLlama2cTokenizer(bytes: Uint8Array, vocabSize: number, path = 'tokenizer.bin'): TokenizerFiles {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const pieces: Piece[] = [];
  let at = 4;
  for (let id = 0; id < vocabSize; id++) {
    if (at + 8 > bytes.length)
      throw wrong(path, at, `${vocabSize} pieces (the model's vocabulary)`, `the end after ${id}`);
    const [score, length] = [view.getFloat32(at, true), view.getInt32(at + 4, true)];
    if (length < 0 || length > MOST_PIECE_BYTES || at + 8 + length > bytes.length) {
      throw wrong(
        path,
        at + 4,
        `a length of at most ${Math.min(MOST_PIECE_BYTES, bytes.length - at - 8)}`,
        String(length),
      );
    }
    const raw = bytes.subarray(at + 8, at + 8 + length);
    pieces.push(pieceOf(id, score, raw, decoder, () => wrong(path, at + 8, 'UTF-8', 'other bytes')));
    at += 8 + length;
  }
  if (at < bytes.length) throw wrong(path, at, `the end after ${vocabSize} pieces (the model's vocabulary)`, 'more');
  return {
    tokenizer: tokenizerOfPieces(pieces, { addPrefixSpace: true, removeExtraSpaces: false }, path),
    tokenizerConfig: {
      bos_token: SPECIAL[BOS],
      eos_token: SPECIAL[EOS],
      add_bos_token: true,
      chat_template: null,
      // Stories were trained on one after the other with BOS between them and without EOS: there llama2.c stops.
      eosTokenIds: [BOS, EOS],
    },
  };
}

function pieceOf(
  id: number,
  score: number,
  bytes: Uint8Array,
  decoder: { decode(bytes: Uint8Array): string },
  noText: () => Error,
): Piece {
  if (id < FIRST_BYTE) return { text: SPECIAL[id], score, kind: id === 0 ? PIECE.unknown : PIECE.control };
  if (id < FIRST_BYTE + 256) {
    const name = (id - FIRST_BYTE).toString(16).toUpperCase().padStart(2, '0');
    return { text: `<0x${name}>`, score, kind: PIECE.byte };
  }
  try {
    return { text: decoder.decode(bytes).replaceAll(' ', '\u2581'), score, kind: PIECE.normal };
  } catch {
    throw noText();
  }
}

function wrong(path: string, offset: number, wanted: string, got: string): FormatError {
  const advice = 'Is it the tokenizer.bin of this model?';
  return new FormatError('tokenizer', `${path}: byte ${offset}: expected ${wanted}, got ${got}. ${advice}`, path);
}
