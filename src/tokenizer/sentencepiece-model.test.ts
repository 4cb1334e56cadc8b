import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer as RustTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { missing, readJson, sharedPath } from '../../test/golden/golden-file.ts';
import { FormatError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { readSentencePieceModel } from './sentencepiece-model.ts';
import { Tokenizer } from './tokenizer.ts';

const goldens = fileURLToPath(new URL('../../test/golden/data/sentencepiece/', import.meta.url));
const modelBytes = (name: string) => new Uint8Array(readFileSync(join(goldens, `${name}.model`)));
const { cases } = readJson<{ cases: Record<string, { text: string; ids: number[]; decoded: string }[]> }>(
  join(goldens, 'sentencepiece.json'),
);
const llama = sharedPath('data/tokenizers/llama2-tokenizer.model');
const stories = sharedPath('golden/stories15M/golden.json');

/** One field of a protobuf message: a number as a varint, bytes or text with their length, a float in four bytes. */
function field(number: number, value: number | Uint8Array | string | { float: number }): Uint8Array {
  if (typeof value === 'number') return Uint8Array.from([...varint(number * 8), ...varint(value)]);
  if (typeof value === 'object' && 'float' in value) {
    return Uint8Array.from([...varint(number * 8 + 5), ...new Uint8Array(Float32Array.of(value.float).buffer)]);
  }
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return Uint8Array.from([...varint(number * 8 + 2), ...varint(bytes.length), ...bytes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

const message = (...fields: Uint8Array[]) => Uint8Array.from(fields.flatMap((bytes) => [...bytes]));
const piece = (text: string, score: number, kind = 1) =>
  field(1, message(field(1, text), field(2, { float: score }), field(3, kind)));
const BPE = field(2, message(field(3, 2)));

describe('readSentencePieceModel', () => {
  describe.each(Object.keys(cases))('model %s', (name) => {
    const { tokenizer, tokenizerConfig } = readSentencePieceModel(modelBytes(name), name);
    const own = Tokenizer.fromJson(tokenizer, name, tokenizerConfig);

    it('gives the ids of SentencePiece', () => {
      for (const { text, ids } of cases[name]) expect(own.encode(text), JSON.stringify(text)).toEqual(ids);
    });

    it('gives the text of SentencePiece', () => {
      // Where SentencePiece shows that something is unknown, we show nothing; and a U+2581 of the text itself is no space to be tidied.
      const known = cases[name].filter(({ ids, text }) => !ids.includes(0) && !text.includes('\u2581'));
      expect(known.length).toBeGreaterThan(20);
      for (const { ids, decoded } of known) expect(own.decode(ids)).toBe(decoded);
    });

    it('is a tokenizer.json that the Rust library reads alike', async () => {
      const rust = RustTokenizer.fromString(JSON.stringify(tokenizer));
      for (const { text, ids } of cases[name]) {
        expect((await rust.encode(text, null, { addSpecialTokens: false })).getIds()).toEqual(ids);
      }
    });
  });

  it('reads BOS, EOS and the settings from the file', () => {
    const { tokenizerConfig } = readSentencePieceModel(modelBytes('llama'));
    expect(tokenizerConfig).toEqual({
      bos_token: '<s>',
      eos_token: '</s>',
      add_bos_token: true,
      chat_template: null,
      eosTokenIds: [2],
    });
    const none = message(piece('<unk>', 0, 2), piece('a', 0), field(2, message(field(3, 2), field(41, 2 ** 40))));
    expect(readSentencePieceModel(none).tokenizerConfig).toMatchObject({ bos_token: null, add_bos_token: false });
  });

  it('merges the highest score first, by hand', () => {
    const pieces = [piece('<unk>', 0, 2), piece('\u2581', -9), piece('a', -9), piece('b', -9), piece('ab', -1)];
    const model = message(...pieces, piece('\u2581a', -2), piece('\u2581ab', -3), piece('ba', -0.5), BPE);
    const tokenizer = Tokenizer.fromJson(readSentencePieceModel(model).tokenizer);
    expect(tokenizer.encode('ab')).toEqual([6]); // ab, then the space before it
    expect(tokenizer.encode('aba')).toEqual([5, 7]); // ba comes before ab, then nothing is left but the space and a
  });

  it('lists the cuts of one piece as transformers does: the longer left part first', () => {
    const model = message(piece('a', -9), piece('aa', -2), piece('aaa', -1), BPE);
    const { model: bpe } = readSentencePieceModel(model).tokenizer as { model: { merges: [string, string][] } };
    expect(bpe.merges).toEqual([
      ['aa', 'a'],
      ['a', 'aa'],
      ['a', 'a'],
    ]);
  });

  it('refuses what it does not support, by name', () => {
    expect(() => readSentencePieceModel(modelBytes('unigram'), 'x.model')).toThrow(
      /x\.model: .* type unigram is not supported/,
    );
    const rules = field(3, message(field(1, 'nmt_nfkc'), field(2, Uint8Array.of(1, 2, 3))));
    expect(() => readSentencePieceModel(message(piece('a', 0), BPE, rules))).toThrow(
      /normalization rules \(nmt_nfkc\)/,
    );
    const tiktoken = new TextEncoder().encode('IQ== 0\nIg== 1\n'.repeat(10));
    expect(() => readSentencePieceModel(tiktoken)).toThrow(/tiktoken/);
  });

  it('names the byte where a file is damaged', () => {
    const whole = message(piece('a', 0), BPE);
    expect(() => readSentencePieceModel(whole.subarray(0, 5))).toThrow(
      /byte 0, field 1: expected at most 3 bytes, got 10/,
    );
    expect(() => readSentencePieceModel(message(field(1, 3)))).toThrow(
      /byte 1, pieces: expected bytes, got the number 3/,
    );
    expect(() => readSentencePieceModel(message(piece('a', 0), piece('a', 0), BPE))).toThrow(
      /pieces 0 and 1 are both "a"/,
    );
    expect(() => readSentencePieceModel(message(piece('a', Number.NaN), BPE))).toThrow(/score of piece 0/);
    expect(() => readSentencePieceModel(message(piece('a'.repeat(600), 0), BPE))).toThrow(/at most 512/);
    expect(() => readSentencePieceModel(BPE)).toThrow(/found 0/);
    expect(() => readSentencePieceModel(Uint8Array.of(0x0b))).toThrow(/byte 0, tag/);
    expect(() => readSentencePieceModel(new Uint8Array(20).fill(0xff))).toThrow(/at most 10 bytes/);
  });

  it('throws nothing but FormatError, whatever the bytes', () => {
    const random = new Prng(5);
    const whole = modelBytes('llama');
    for (let i = 0; i < 300; i++) {
      const bytes = whole.slice(0, i % 3 === 0 ? random.below(whole.length) : whole.length);
      for (let n = 0; n < 4 && bytes.length > 0; n++) bytes[random.below(bytes.length)] = random.below(256);
      try {
        readSentencePieceModel(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
  });

  it.skipIf(missing(llama) !== null || missing(stories) !== null)(
    `gives the golden ids with the vocabulary of Llama 2 (${missing(llama) ?? missing(stories) ?? llama})`,
    () => {
      const { tokenizer, tokenizerConfig } = readSentencePieceModel(new Uint8Array(readFileSync(llama)), llama);
      const own = Tokenizer.fromJson(tokenizer, llama, tokenizerConfig);
      expect(own.vocabSize).toBe(32000);
      const { encodeCases, ids, text } = readJson<Golden>(stories);
      for (const one of encodeCases) expect(own.encodePrompt(one.text)).toEqual(one.ids);
      expect(own.decode(ids)).toBe(text);
    },
  );
});

interface Golden {
  encodeCases: { text: string; ids: number[] }[];
  ids: number[];
  text: string;
}
