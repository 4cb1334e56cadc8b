import { Tokenizer as RustTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { libraryJson } from './library-json.ts';
import { Tokenizer } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

const trained = trainBpe(['it costs 1½ or ٣٤ of Ⅳ cups, 2024 times; ½ cup ½ cup ٣٤ ٣٤ '.repeat(8)], { vocabSize: 280 });
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const withStep = (step: object) => ({
  ...trained,
  pre_tokenizer: { type: 'Sequence', pretokenizers: [step, byteLevel] },
});

describe('libraryJson', () => {
  it.each([true, false])(
    'takes what Unicode calls a number for digits, as Rust does; each by itself: %s',
    async (individual_digits) => {
      const json = withStep({ type: 'Digits', individual_digits });
      const own = Tokenizer.fromJson(json);
      const rust = RustTokenizer.fromString(JSON.stringify(json));
      for (const text of [' ½ cup', 'it costs 1½ or ٣٤ of Ⅳ', '2024', 'no number']) {
        expect(own.encode(text), text).toEqual((await rust.encode(text, null, { addSpecialTokens: false })).getIds());
      }
    },
  );

  it('refuses what the library passes over', () => {
    const refusals: [object, RegExp][] = [
      [
        withStep({ type: 'Split', pattern: { Regex: ' ' }, behavior: 'MergedWithPrevious', invert: false }),
        /MergedWithPrevious: expected isolated or removed/,
      ],
      [withStep({ type: 'Punctuation', behavior: 'Contiguous' }), /Punctuation has the behavior Contiguous/],
      [{ ...trained, added_tokens: [{ id: 0, content: '<a>', single_word: true }] }, /"<a>" is for whole words alone/],
    ];
    for (const [json, message] of refusals) expect(() => libraryJson(json)).toThrow(message);
    const split = { type: 'Split', pattern: { Regex: ' ' }, behavior: 'Isolated', invert: false };
    expect(libraryJson(withStep(split))).toEqual(withStep(split));
    expect(libraryJson({ pre_tokenizer: null })).toEqual({ pre_tokenizer: null });
  });

  it('says in the newer words that no space is put before a text', () => {
    const old = { type: 'Metaspace', replacement: '\u2581', add_prefix_space: false };
    expect(libraryJson({ pre_tokenizer: old })).toMatchObject({ pre_tokenizer: { prepend_scheme: 'never' } });
    const newer = { ...old, prepend_scheme: 'first' };
    expect(libraryJson({ pre_tokenizer: newer })).toEqual({ pre_tokenizer: newer });
  });
});
