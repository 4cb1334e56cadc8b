/**
 * readSentencePieceModel: a `tokenizer.model` of SentencePiece becomes the contents of a tokenizer.json.
 *
 * The file is a protobuf message of a dozen fields that matter, so it is read here: tags and lengths are checked against the end of
 * their message, with the byte offset in every error. Only BPE (Llama, Mistral and their like); what else SentencePiece trains is refused
 * by name. Source: google/sentencepiece, src/sentencepiece_model.proto.
 */

import { FormatError } from '../util/errors.ts';
import { PIECE, type Piece, tokenizerOfPieces } from './sentencepiece-pieces.ts';
import type { TokenizerFiles } from './tokenizer-config.ts';
import { MAX_VOCAB_SIZE } from './train-bpe.ts';

/** Files of 250,000 pieces have 5 MB. */
const MOST_BYTES = 64 * 2 ** 20;
const MODEL_TYPES = ['', 'unigram', 'BPE', 'word', 'char'];
const BPE = 2;

interface Field {
  readonly number: number;
  /** Where it begins in the file. */
  readonly offset: number;
  readonly value: number | Uint8Array;
}

/** Throws FormatError that names `path` and the byte where the file is no SentencePiece model, or none that is supported. */
export function readSentencePieceModel(bytes: Uint8Array, path = 'tokenizer.model'): TokenizerFiles {
  if (bytes.length > MOST_BYTES) throw wrong(path, 0, 'file', `at most ${MOST_BYTES} bytes`, String(bytes.length));
  // Llama 3 ships a list of tiktoken under the same name: base64, a space and a rank in every line.
  if (/^[A-Za-z0-9+/]+=* \d+\n/.test(new TextDecoder().decode(bytes.subarray(0, 64)))) {
    throw new FormatError(
      'tokenizer',
      `${path} is a tiktoken vocabulary: expected a SentencePiece model. Use the tokenizer.json of the model.`,
      path,
    );
  }
  const pieces: Piece[] = [];
  const settings = { type: 1, bos: 1, eos: 2, addPrefixSpace: true, removeExtraSpaces: true, rules: 0, name: '' };
  for (const { number, offset, value } of fieldsOf(bytes, path)) {
    const at = offset + 1;
    if (number === 1) pieces.push(pieceOf(messageOf(value, at, 'pieces', path), path));
    if (pieces.length > MAX_VOCAB_SIZE) throw wrong(path, offset, 'pieces', `at most ${MAX_VOCAB_SIZE}`, 'more');
    if (number === 2) readTrainer(messageOf(value, at, 'trainer_spec', path), settings, path);
    if (number === 3) readNormalizer(messageOf(value, at, 'normalizer_spec', path), settings, path);
  }
  if (settings.type !== BPE) {
    const name = MODEL_TYPES[settings.type] || settings.type;
    throw new FormatError(
      'tokenizer',
      `${path}: a SentencePiece model of type ${name} is not supported: expected BPE. Use the tokenizer.json of the model.`,
      path,
    );
  }
  if (settings.rules > 0) {
    throw new FormatError(
      'tokenizer',
      `${path}: normalization rules (${settings.name}) are not supported: expected identity. Use the tokenizer.json of the model.`,
      path,
    );
  }
  const [bos, eos] = [pieces[settings.bos], pieces[settings.eos]].map((piece) => piece?.text ?? null);
  return {
    tokenizer: tokenizerOfPieces(pieces, settings, path),
    tokenizerConfig: {
      bos_token: bos,
      eos_token: eos,
      add_bos_token: bos !== null,
      chat_template: null,
      eosTokenIds: eos === null ? [] : [settings.eos],
    },
  };
}

interface Settings {
  type: number;
  bos: number;
  eos: number;
  addPrefixSpace: boolean;
  removeExtraSpaces: boolean;
  /** Bytes of compiled rules that change characters. */
  rules: number;
  name: string;
}

function pieceOf(message: Message, path: string): Piece {
  let [text, score, kind] = ['', 0, PIECE.normal as number];
  for (const { number, offset, value } of fieldsOf(message.bytes, path, message.offset)) {
    if (number === 1) text = textOf(value, offset, 'piece', path);
    if (number === 2) score = floatOf(value, offset, 'score', path);
    if (number === 3) kind = numberOf(value, offset, 'type', path);
  }
  return { text, score, kind };
}

function readTrainer(message: Message, settings: Settings, path: string): void {
  for (const { number, offset, value } of fieldsOf(message.bytes, path, message.offset)) {
    if (number === 3) settings.type = numberOf(value, offset, 'model_type', path);
    // -1, for no such token, is written as ten bytes and read as 2^64 - 1: no piece has that id.
    if (number === 41) settings.bos = numberOf(value, offset, 'bos_id', path);
    if (number === 42) settings.eos = numberOf(value, offset, 'eos_id', path);
  }
}

function readNormalizer(message: Message, settings: Settings, path: string): void {
  for (const { number, offset, value } of fieldsOf(message.bytes, path, message.offset)) {
    if (number === 1) settings.name = textOf(value, offset, 'name', path);
    if (number === 2) settings.rules = messageOf(value, offset, 'precompiled_charsmap', path).bytes.length;
    if (number === 3) settings.addPrefixSpace = numberOf(value, offset, 'add_dummy_prefix', path) !== 0;
    if (number === 4) settings.removeExtraSpaces = numberOf(value, offset, 'remove_extra_whitespaces', path) !== 0;
  }
}

interface Message {
  readonly bytes: Uint8Array;
  /** Where `bytes` begins in the file, up to the few bytes of its length. */
  readonly offset: number;
}

/** The fields of a message in their order: wire types 0 (varint), 1, 2 and 5. */
function* fieldsOf(bytes: Uint8Array, path: string, base = 0): Generator<Field> {
  let at = 0;
  const varint = (what: string): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      if (at >= bytes.length) throw wrong(path, base + at, what, 'a number', 'the end');
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw wrong(path, base + at, what, 'a number of at most 10 bytes', 'a longer one');
  };
  while (at < bytes.length) {
    const offset = base + at;
    const tag = varint('tag');
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    if (number < 1 || ![0, 1, 2, 5].includes(wire)) {
      throw wrong(path, offset, 'tag', 'a field of wire type 0, 1, 2 or 5', `field ${number} of type ${wire}`);
    }
    if (wire === 0) {
      yield { number, offset, value: varint(`field ${number}`) };
      continue;
    }
    const length = wire === 2 ? varint(`length of field ${number}`) : wire === 1 ? 8 : 4;
    if (length > bytes.length - at) {
      throw wrong(path, offset, `field ${number}`, `at most ${bytes.length - at} bytes`, String(length));
    }
    yield { number, offset, value: bytes.subarray(at, at + length) };
    at += length;
  }
}

function messageOf(value: Field['value'], offset: number, field: string, path: string): Message {
  if (typeof value !== 'number') return { bytes: value, offset };
  throw wrong(path, offset, field, 'bytes', `the number ${value}`);
}

function textOf(value: Field['value'], offset: number, field: string, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      messageOf(value, offset, field, path).bytes,
    );
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw wrong(path, offset, field, 'UTF-8', 'other bytes');
  }
}

function floatOf(value: Field['value'], offset: number, field: string, path: string): number {
  const { bytes } = messageOf(value, offset, field, path);
  if (bytes.length !== 4) throw wrong(path, offset, field, 'a number of 4 bytes', `${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
}

function numberOf(value: Field['value'], offset: number, field: string, path: string): number {
  if (typeof value === 'number') return value;
  throw wrong(path, offset, field, 'a number', 'bytes');
}

function wrong(path: string, offset: number, field: string, wanted: string, got: string): FormatError {
  const what = `byte ${offset}, ${field}: expected ${wanted}, got ${got}. Is it a SentencePiece model, and complete?`;
  return new FormatError('tokenizer', `${path}: ${what}`, path);
}
