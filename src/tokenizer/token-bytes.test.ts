import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../../test/golden/golden-file.ts';
import { UsageError } from '../util/errors.ts';
import { readLlama2cTokenizer } from './llama2c-tokenizer.ts';
import { readSentencePieceModel } from './sentencepiece-model.ts';
import { tokenBytesOf } from './token-bytes.ts';
import { Tokenizer } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

const texts = [
  '{"name": "naïve 漢字 🙂👩‍👩‍👧", "n": [1, -2.5e3]}',
  '  two  spaces\n\tand\r\nmore \u0000\u007f',
  'the end',
];

/** The bytes of the tokens of a text are those of the text, behind a space where the tokenizer puts one in front of texts. */
function expectSpelling(tokenizer: Tokenizer, text: string, before = ''): void {
  const ids = tokenizer.encode(text);
  expect(Buffer.concat(ids.map((id) => tokenizer.tokenBytes(id)!)).toString()).toBe(before + text);
}

/** Tokens that are whole characters decode to their bytes, behind a token that is a plain letter. */
function expectDecoding(tokenizer: Tokenizer, step: number): void {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
  const before = ids.findLast((id) => Buffer.from(tokenizer.tokenBytes(id) ?? []).toString() === 'x')!;
  let compared = 0;
  for (let id = 0; id < tokenizer.vocabSize; id += step) {
    const bytes = tokenizer.tokenBytes(id);
    const shown = tokenizer.decode([before, id, before]);
    if (bytes === null) {
      expect(shown.trim()).toBe('xx');
      continue;
    }
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      continue; // a part of a character
    }
    expect(shown.trimStart(), `token ${id}`).toBe(`x${text}x`);
    compared++;
  }
  expect(compared).toBeGreaterThan(100);
}

const smollm = sharedPath('data', 'tokenizers', 'smollm2-tokenizer.json');
const llama = sharedPath('data', 'tokenizers', 'llama2-tokenizer.model');
const stories = sharedPath('data', 'weights', 'stories260K-tok512.bin');

describe('Tokenizer.tokenBytes', () => {
  const trained = Tokenizer.fromJson(trainBpe([texts.join('\n').repeat(3)], { vocabSize: 300 }));

  it('spells texts, and gives nothing for special tokens and ids that are none', () => {
    for (const text of texts) expectSpelling(trained, text);
    expectDecoding(trained, 1);
    expect(trained.tokenBytes(trained.endOfText!)).toBeNull();
    for (const id of [-1, 300, 1.5, Number.NaN]) expect(trained.tokenBytes(id)).toBeNull();
    // Each byte is a token.
    const single = new Set(
      Array.from({ length: 300 }, (_, id) => trained.tokenBytes(id)).flatMap((one) =>
        one?.length === 1 ? [one[0]] : [],
      ),
    );
    expect(single.size).toBe(256);
  });

  it('knows added tokens, which stand for themselves where they are not special', () => {
    const json = trainBpe(['some text'], { vocabSize: 257 });
    const added = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    const tokenizer = Tokenizer.fromJson({
      ...json,
      added_tokens: [
        ...json.added_tokens,
        { id: 257, content: '<tool>é', special: false, ...added },
        { id: 258, content: '<|im_end|>', special: true, ...added },
      ],
    });
    expect(Buffer.from(tokenizer.tokenBytes(257)!).toString()).toBe('<tool>é');
    expect(tokenizer.tokenBytes(258)).toBeNull();
  });

  it('knows pieces of SentencePiece: bytes by their names, U+2581 as a space', () => {
    const decoder = {
      type: 'Sequence',
      decoders: [{ type: 'Replace', pattern: { String: '\u2581' }, content: ' ' }, { type: 'ByteFallback' }],
    };
    const vocab = { '<0x0A>': 0, '\u2581the': 1, '<0xZZ>': 2, é: 3 };
    const bytes = tokenBytesOf({ model: { vocab, byte_fallback: true }, decoder });
    expect(bytes.map((one) => Buffer.from(one!).toString())).toEqual(['\n', ' the', '<0xZZ>', 'é']);
    // The decoder's steps run over tokens that were added, too.
    const added_tokens = [{ content: '\u2581\u2581', id: 4 }];
    const withAdded = tokenBytesOf({ model: { vocab, byte_fallback: true }, decoder, added_tokens });
    expect(Buffer.from(withAdded[4]!).toString()).toBe('  ');
    const plain = tokenBytesOf({
      model: { vocab: [['<0x0A>', -1]] },
      decoder: { type: 'Metaspace', replacement: '\u2581' },
    });
    expect(Buffer.from(plain[0]!).toString()).toBe('<0x0A>');
  });

  it('refuses a decoder that it does not know', () => {
    expect(() => tokenBytesOf({ model: { vocab: { a: 0 } }, decoder: { type: 'WordPiece' } })).toThrow(UsageError);
  });

  it.skipIf(!existsSync(smollm))(`agrees with the decoder of a real byte-level tokenizer (${smollm})`, () => {
    const tokenizer = Tokenizer.fromJson(JSON.parse(readFileSync(smollm, 'utf8')));
    for (const text of texts) expectSpelling(tokenizer, text);
    expectDecoding(tokenizer, 37);
  });

  it.skipIf(!existsSync(llama))(`agrees with the decoder of a real SentencePiece model (${llama})`, () => {
    const { tokenizer: json } = readSentencePieceModel(readFileSync(llama), llama);
    const tokenizer = Tokenizer.fromJson(json);
    for (const text of texts) expectSpelling(tokenizer, text, ' ');
    expectDecoding(tokenizer, 37);
  });

  it.skipIf(!existsSync(stories))(`agrees with the decoder of a tokenizer.bin (${stories})`, () => {
    const { tokenizer: json } = readLlama2cTokenizer(readFileSync(stories), 512, stories);
    const tokenizer = Tokenizer.fromJson(json);
    for (const text of texts) expectSpelling(tokenizer, text, ' ');
    expectDecoding(tokenizer, 1);
  });
});
