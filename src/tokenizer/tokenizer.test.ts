import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { Tokenizer as RustTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../../test/golden/golden-file.ts';
import { FormatError } from '../util/errors.ts';
import { Tokenizer } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

const data = sharedPath();
const real = ['tinyshakespeare.txt', 'wikitext2.valid.txt'].map((name) => join(data, 'data/text', name));
const smollm = join(data, 'data/tokenizers/smollm2-tokenizer.json');

const sample = `It was the best of times, it was the worst of times; it's what they'd've said.
\tTabs,  two spaces,   three.\r\nDon't 123 4567 x²!   \n\n  naïve café – 漢字かな交じり文 🙂👩‍👩‍👧 <|endoftext|> e\u0301 \u00a0nbsp\u3000wide\n\n`;
const json = trainBpe([sample.repeat(3), 'the rest of the best text of the time '.repeat(5)], { vocabSize: 380 });
const tokenizer = Tokenizer.fromJson(json);
const library = new LibraryTokenizer(json, {});
const rust = RustTokenizer.fromString(JSON.stringify(json));
const libraryIds = (text: string) => (text === '' ? [] : library.encode(text, { add_special_tokens: false }).ids);
const rustIds = async (text: string) => (await rust.encode(text, null, { addSpecialTokens: false })).getIds();

/** White space, contractions, digits, signs, several scripts and half of a special token. */
const alphabet = [
  ...' \n\t\r',
  '  ',
  "'s",
  "'ll",
  "'",
  'a',
  'the',
  'T',
  '1',
  '²',
  '.',
  '-',
  'é',
  '漢',
  '🙂',
  '\u0301',
  '\u00a0',
  '\u2003',
  '<|endoftext|>',
  '<|end',
];
const text = fc.array(fc.constantFrom(...alphabet)).map((parts) => parts.join(''));

describe('Tokenizer', () => {
  it('knows its size and its end of text', () => {
    expect(tokenizer.vocabSize).toBe(380);
    expect(tokenizer.endOfText).toBe(0);
    expect(tokenizer.json).toBe(json);
    const other = Tokenizer.fromJson(trainBpe(['a'], { vocabSize: 257, specialTokens: ['<s>'] }));
    expect(other.endOfText).toBeNull();
  });

  it('encodes as the library and as the Rust implementation do', async () => {
    expect(tokenizer.encode(sample)).toEqual(libraryIds(sample));
    expect(tokenizer.encode(sample)).toEqual(await rustIds(sample));
    expect(tokenizer.encode(sample)).toContain(0);
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const ids = tokenizer.encode(value);
        expect(ids).toEqual(libraryIds(value));
        expect(ids).toEqual(await rustIds(value));
      }),
    );
  });

  it('splits at U+FEFF and U+0085 as the Rust implementation does', async () => {
    const value = 'a\ufeff b \ufeffc \u0085 d\u0085\u0085 e';
    expect(tokenizer.encode(value)).toEqual(await rustIds(value));
  });

  it('encodes a word of a hundred thousand characters as the Rust implementation does', async () => {
    const value = 'thetimes'.repeat(12_500);
    // Merges that look at every pair again after each one would take minutes, and the test would run into its limit.
    expect(tokenizer.encode(value)).toEqual(await rustIds(value));
  });

  it('gives back any text, and the same in pieces', () => {
    const noSpecial = (value: string) => value.replaceAll('<|endoftext|>', '');
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (value) => {
        const ids = tokenizer.encode(value);
        expect(tokenizer.decode(ids)).toBe(noSpecial(value));
        const stream = tokenizer.decodeStream();
        const pieces = ids.map((id) => stream.push(id));
        expect(pieces.join('') + stream.flush()).toBe(noSpecial(value));
        if (!value.includes('\ufffd')) expect(pieces.join('')).not.toContain('\ufffd');
      }),
    );
  });

  it('encodes chunks that are cut before white space as it encodes the whole', () => {
    fc.assert(
      fc.property(text, (parts) => {
        // A special token ends a gap as the end of a text does, so a cut in front of it can show.
        const value = parts.replaceAll('<|endoftext|>', '');
        const cuts = value.split(/(?=\p{White_Space}\P{White_Space})/u);
        expect(cuts.flatMap((chunk) => tokenizer.encode(chunk))).toEqual(tokenizer.encode(value));
      }),
    );
  });

  it('decodes what is no text without failing', () => {
    const [first, second] = tokenizer.encode('🙂'.slice(0, 2)).length > 1 ? tokenizer.encode('🙂') : [200, 201];
    expect(tokenizer.decode([first])).toMatch(/\ufffd/);
    expect(tokenizer.decode([second, 99_999, -1])).toMatch(/\ufffd\ufffd$/);
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([0])).toBe('');
  });

  it.skipIf(!real.every((path) => existsSync(path)))(
    `agrees on real text (${real})`,
    async () => {
      const pieces = real.map((path) => readFileSync(path, 'utf8').slice(0, 60_000));
      const own = Tokenizer.fromJson(JSON.parse(JSON.stringify(trainBpe(pieces, { vocabSize: 2048 }))));
      const oracle = new LibraryTokenizer(own.json, {});
      const rustOracle = RustTokenizer.fromString(JSON.stringify(own.json));
      for (const piece of pieces) {
        const ids = own.encode(piece);
        expect(ids).toEqual(oracle.encode(piece, { add_special_tokens: false }).ids);
        expect(ids).toEqual((await rustOracle.encode(piece, null, { addSpecialTokens: false })).getIds());
        expect(own.decode(ids)).toBe(piece);
      }
    },
    60_000,
  );

  it.skipIf(!existsSync(smollm))(
    `uses the library for other configurations (${smollm})`,
    async () => {
      const config = JSON.parse(readFileSync(smollm, 'utf8'));
      const other = Tokenizer.fromJson(config);
      const oracle = RustTokenizer.fromString(JSON.stringify(config));
      const value = 'In 1969, 600 people said: "naïve 漢字 🙂👩‍👩‍👧"!\n\n  Done.';
      const ids = other.encode(value);
      expect(ids).toEqual((await oracle.encode(value, null, { addSpecialTokens: false })).getIds());
      expect(other.vocabSize).toBe(49152);
      expect(other.encode('')).toEqual([]);
      expect(other.decode(ids)).toBe(value);
      expect(other.decode([])).toBe('');
      const stream = other.decodeStream();
      const pieces = ids.map((id) => stream.push(id));
      expect(pieces.join('') + stream.flush()).toBe(value);
      for (const piece of pieces) expect(piece).not.toContain('\ufffd');
    },
    60_000,
  );

  it('has U+FFFD for ids outside of the vocabulary, where the library decodes too', () => {
    const word = { type: 'BPE', vocab: { '\u2581a': 0, '\u2581b': 1 }, merges: [], unk_token: null };
    const decoder = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always' };
    const none = { normalizer: null, post_processor: null, added_tokens: [] };
    const other = Tokenizer.fromJson({ ...none, model: word, decoder, pre_tokenizer: decoder });
    expect(other.decode([0, 1])).toBe('a b');
    expect(other.decode([0, 99, 99, 1])).toBe('a\ufffd\ufffdb');
    expect(tokenizer.decode([99_999])).toBe('\ufffd');
  });

  it('refuses what is no tokenizer.json', () => {
    for (const value of [null, 3, {}, { model: {} }, { model: { vocab: 'x' } }, { model: { type: '?', vocab: {} } }]) {
      expect(() => Tokenizer.fromJson(value)).toThrow(FormatError);
    }
  });
});
