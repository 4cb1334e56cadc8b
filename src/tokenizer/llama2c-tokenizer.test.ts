import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missing, readJson, sharedPath } from '../../test/golden/golden-file.ts';
import { FormatError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { readLlama2cTokenizer } from './llama2c-tokenizer.ts';
import { Tokenizer } from './tokenizer.ts';

const STORIES = [
  { name: 'stories15M', vocabSize: 32000, file: sharedPath('data/weights/stories15M-tokenizer.bin') },
  { name: 'stories260K', vocabSize: 512, file: sharedPath('data/weights/stories260K-tok512.bin') },
];

/** A file as llama2.c's tokenizer.py writes it, with the byte pieces as `byteText` spells them. */
function fileOf(
  pieces: readonly (readonly [text: string, score: number])[],
  byteText: (byte: number) => string,
): Uint8Array {
  const special = ['<unk>', '\n<s>\n', '\n</s>\n'].map((text) => [text, 0] as const);
  const bytes = Array.from({ length: 256 }, (_, byte) => [byteText(byte), 0] as const);
  const parts = [...special, ...bytes, ...pieces].flatMap(([text, score]) => {
    const raw = Buffer.from(text, 'utf8');
    return [Buffer.from(Float32Array.of(score).buffer), Buffer.from(Int32Array.of(raw.length).buffer), raw];
  });
  return new Uint8Array(Buffer.concat([Buffer.from(Int32Array.of(8).buffer), ...parts]));
}

const PIECES = [
  [' ', -9],
  ['a', -9],
  ['b', -9],
  [' a', -2],
  [' ab', -3],
  ['ab', -1],
  ['é', -9],
] as const;
const vocabSize = 259 + PIECES.length;
const named = fileOf(PIECES, (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
/** The older export, in which "a" is both the piece 260 and the byte 0x61. */
const spelled = fileOf(PIECES, (byte) => String.fromCharCode(byte));

describe('readLlama2cTokenizer', () => {
  it.each([
    ['with names', named],
    ['with characters, as the older export has them', spelled],
  ])('reads byte pieces %s', (_, bytes) => {
    const { tokenizer, tokenizerConfig } = readLlama2cTokenizer(bytes, vocabSize);
    const own = Tokenizer.fromJson(tokenizer, 'x', tokenizerConfig);
    expect(own.vocabSize).toBe(vocabSize);
    expect(own.encode('ab')).toEqual([263]);
    expect(own.encode('b a')).toEqual([259, 261, 262]);
    expect(own.encode('é?')).toEqual([259, 265, 3 + 0x3f]);
    expect(own.encode('€')).toEqual([259, 3 + 0xe2, 3 + 0x82, 3 + 0xac]);
    expect(own.decode([1, 263, 3 + 0xe2, 3 + 0x82, 3 + 0xac, 3 + 0x0a])).toBe('ab€\n');
    expect(own.encodePrompt('ab')).toEqual([1, 263]);
    expect(own.decodeStream().push(262)).toBe('a');
    expect(own.decodeStream([1, 263]).push(262)).toBe(' a');
    expect(own.encodePrompt('')).toEqual([1]);
    expect(own.endIds).toEqual([1, 2]);
  });

  it('refuses a file of another size or content', () => {
    expect(() => readLlama2cTokenizer(named, vocabSize - 1, 'a.bin')).toThrow(
      /a\.bin: byte \d+: expected the end after/,
    );
    expect(() => readLlama2cTokenizer(named, vocabSize + 1)).toThrow(/expected 267 pieces .* got the end after 266/);
    expect(() => readLlama2cTokenizer(new Uint8Array(), 5)).toThrow(FormatError);
    const long = named.slice();
    new DataView(long.buffer).setInt32(8, 2 ** 30, true);
    expect(() => readLlama2cTokenizer(long, vocabSize)).toThrow(
      /byte 8: expected a length of at most 3684, got 1073741824/,
    );
  });

  it('throws nothing but FormatError, whatever the bytes', () => {
    const random = new Prng(3);
    for (let i = 0; i < 300; i++) {
      const bytes = named.slice(0, i % 3 === 0 ? random.below(named.length) : named.length);
      for (let n = 0; n < 4 && bytes.length > 0; n++) bytes[random.below(bytes.length)] = random.below(256);
      try {
        readLlama2cTokenizer(bytes, vocabSize);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
  });

  describe.each(STORIES)('$name', ({ name, vocabSize: size, file }) => {
    const golden = sharedPath('golden', name, 'golden.json');
    const lacking = missing(file) ?? missing(golden);

    it.skipIf(lacking !== null)(`gives the golden ids and text (${lacking ?? golden})`, () => {
      const { tokenizer, tokenizerConfig } = readLlama2cTokenizer(new Uint8Array(readFileSync(file)), size, file);
      const own = Tokenizer.fromJson(tokenizer, file, tokenizerConfig);
      const { encodeCases, ids, text, promptIds } = readJson<{
        encodeCases: { text: string; ids: number[] }[];
        ids: number[];
        text: string;
        promptIds: number[];
      }>(golden);
      for (const one of encodeCases) expect(own.encodePrompt(one.text), one.text).toEqual(one.ids);
      expect(own.decode(ids)).toBe(text);
      // Behind the prompt, token by token: the space before the first word is there.
      const stream = own.decodeStream(promptIds);
      const pieces = ids.slice(promptIds.length).map((id) => stream.push(id));
      expect(own.decode(promptIds) + pieces.join('') + stream.flush()).toBe(text);
    });
  });
});
