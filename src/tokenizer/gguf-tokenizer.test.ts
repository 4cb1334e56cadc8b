import fc from 'fast-check';
import { Tokenizer as RustTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { missing, readJson, sharedPath } from '../../test/golden/golden-file.ts';
import { readPlainGgufMetadata } from '../../test/support/plain-gguf-metadata.ts';
import { FormatError } from '../util/errors.ts';
import { BYTE_CHARACTERS } from './byte-level.ts';
import { tokenizerOfGguf } from './gguf-tokenizer.ts';
import { PRE_TOKENIZERS } from './pre-tokenizers.ts';
import { Tokenizer } from './tokenizer.ts';

const SAMPLE = `It's the BEST of times, they'd've said; IT'S the worst -- of times!?
\tTabs,  two spaces,   three.\r\nDon't 123 4567 x²!   \n\n  naïve café – 漢字かな交じり文 가나다 🙂👩‍👧 (e.g. "f(x)==y") 1,234.5 3/4\n\n\n ÉCOLE École $5+3<4 e\u0301 \u00a0nbsp\u3000wide`;

/** Merges that know no words, so that every cut of a pre-tokenizer shows in the ids. */
const { tokens, merges } = mergesOfBytes(SAMPLE.repeat(2), 150);

function mergesOfBytes(text: string, count: number): { tokens: string[]; merges: string[] } {
  let symbols = Array.from(new TextEncoder().encode(text), (byte) => BYTE_CHARACTERS[byte]);
  const all = { tokens: [...BYTE_CHARACTERS], merges: [] as string[] };
  for (let n = 0; n < count; n++) {
    const counts = new Map<string, number>();
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    const [best] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a));
    const [left, right] = best.split(' ');
    if (all.tokens.includes(left + right)) continue;
    all.merges.push(best);
    all.tokens.push(left + right);
    const next: string[] = [];
    for (let i = 0; i < symbols.length; i++) {
      const isPair = symbols[i] === left && symbols[i + 1] === right;
      next.push(isPair ? left + right : symbols[i]);
      if (isPair) i++;
    }
    symbols = next;
  }
  return all;
}

const metadata = (pre: string, more: Record<string, unknown> = {}) =>
  new Map<string, unknown>(
    Object.entries({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': pre,
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.merges': merges,
      ...more,
    }),
  );

const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const bytes = (use_regex: boolean) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex });
const digits = (individual_digits: boolean) => ({ type: 'Digits', individual_digits });
const anyCase = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const signs = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const upper = '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const paths = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
/** The pre-tokenizers as the tokenizer.json of the models have them. */
const ORIGINALS: Record<string, object[]> = {
  'gpt-2': [bytes(true)],
  smollm: [digits(true), bytes(true)],
  starcoder: [digits(true), bytes(true)],
  'llama-bpe': [split(`${anyCase}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${signs}`), bytes(false)],
  qwen2: [split(`${anyCase}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${signs}`), bytes(false)],
  'deepseek-coder': [
    ...['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-\ud7ff]+'].map(split),
    digits(true),
    bytes(false),
  ],
  falcon: [{ type: 'Punctuation', behavior: 'Contiguous' }, bytes(true), digits(false), split('[0-9][0-9][0-9]')],
  tekken: [split(`${upper}*${lower}+|${upper}+${lower}*|\\p{N}|${paths}`), bytes(false)],
  'gpt-4o': [split(`${upper}*${lower}+${anyCase}?|${upper}+${lower}*${anyCase}?|\\p{N}{1,3}|${paths}`), bytes(false)],
  bailingmoe: [
    split(
      "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    ),
    bytes(false),
  ],
  'seed-coder': [
    split(
      `${anyCase}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    ),
    bytes(false),
  ],
};

const words = [
  ...' \n\t\r',
  '  ',
  "'s",
  "'LL",
  "'",
  'a',
  'the',
  'École',
  'T',
  '1',
  '1234',
  '²',
  '.',
  '--',
  '/',
  '漢',
  '가',
  '🙂',
  '\u0301',
  '\u00a0',
  '$',
];
const text = fc.array(fc.constantFrom(...words)).map((parts) => parts.join(''));

describe('tokenizerOfGguf: gpt2', () => {
  it.each(Object.keys(ORIGINALS))('cuts words as the tokenizer.json of the models does: %s', async (pre) => {
    const { tokenizer } = tokenizerOfGguf(metadata(pre), 'x.gguf');
    const own = Tokenizer.fromJson(tokenizer);
    const original = { ...tokenizer, pre_tokenizer: { type: 'Sequence', pretokenizers: ORIGINALS[pre] } };
    const rust = RustTokenizer.fromString(JSON.stringify(original));
    const rustIds = async (value: string) => (await rust.encode(value, null, { addSpecialTokens: false })).getIds();
    expect(own.encode(SAMPLE)).toEqual(await rustIds(SAMPLE));
    expect(own.decode(own.encode(SAMPLE))).toBe(SAMPLE);
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        expect(own.encode(value)).toEqual(await rustIds(value));
      }),
      { numRuns: 60 },
    );
  });

  it.each(PRE_TOKENIZERS)('gives back any text: %s', (pre) => {
    const own = Tokenizer.fromJson(tokenizerOfGguf(metadata(pre), 'x.gguf').tokenizer);
    for (const value of [SAMPLE, ' \n ', 'a', '\n\n\na  b']) expect(own.decode(own.encode(value))).toBe(value);
  });

  it('refuses a pre-tokenizer that it does not know, with those that it does', () => {
    expect(() => tokenizerOfGguf(metadata('qwen-2'), 'x.gguf')).toThrow(FormatError);
    expect(() => tokenizerOfGguf(metadata('qwen-2'), 'x.gguf')).toThrow(
      /x\.gguf: tokenizer\.ggml\.pre "qwen-2" is not supported: expected one of .*, smollm, .* Is it "qwen2"\?/,
    );
  });

  it('finds special tokens by their kind, and the ends of a text by id and by name', () => {
    const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<tool>'];
    const more = {
      'tokenizer.ggml.tokens': [...tokens, ...special],
      'tokenizer.ggml.token_type': Int32Array.from([...tokens.map(() => 1), 3, 3, 3, 4]),
      'tokenizer.ggml.bos_token_id': tokens.length + 1,
      'tokenizer.ggml.eos_token_id': tokens.length + 2,
      'tokenizer.ggml.padding_token_id': 2 ** 32 - 1,
      'tokenizer.chat_template': '{{ messages }}',
    };
    const { tokenizer, tokenizerConfig } = tokenizerOfGguf(metadata('qwen2', more), 'x.gguf');
    expect(tokenizerConfig).toEqual({
      bos_token: '<|im_start|>',
      eos_token: '<|im_end|>',
      add_bos_token: false,
      chat_template: '{{ messages }}',
      eosTokenIds: [tokens.length + 2, tokens.length],
    });
    const own = Tokenizer.fromJson(tokenizer, 'x', tokenizerConfig);
    const ids = own.encode('the<|im_end|><tool>the');
    const the = own.encode('the');
    expect(ids).toEqual([...the, tokens.length + 2, tokens.length + 3, ...the]);
    expect(own.decode(ids)).toBe('the<tool>the');
    const llama3 = tokenizerOfGguf(metadata('llama-bpe', more), 'x.gguf').tokenizerConfig;
    expect(llama3.add_bos_token).toBe(true);
    const no = { ...more, 'tokenizer.ggml.add_bos_token': false };
    expect(tokenizerOfGguf(metadata('llama-bpe', no), 'x.gguf').tokenizerConfig.add_bos_token).toBe(false);
  });

  const golden = sharedPath('golden/smollm2-135m/prompts.json');
  const gguf = sharedPath('data/weights/SmolLM2-135M-Instruct-Q4_1.gguf');
  const lacking = missing(golden) ?? missing(gguf);

  it.skipIf(lacking !== null)(`gives the golden ids with the vocabulary of SmolLM2 (${lacking ?? golden})`, () => {
    const { tokenizer, tokenizerConfig } = tokenizerOfGguf(readPlainGgufMetadata(gguf), gguf);
    const own = Tokenizer.fromJson(tokenizer, gguf, tokenizerConfig);
    const { prompts, chatTemplate } = readJson<{ prompts: { text: string; ids: number[] }[]; chatTemplate: string }>(
      golden,
    );
    for (const one of prompts) expect(own.encodePrompt(one.text)).toEqual(one.ids);
    expect(own.vocabSize).toBe(49152);
    expect(tokenizerConfig).toEqual({
      bos_token: '<|im_start|>',
      eos_token: '<|im_end|>',
      add_bos_token: false,
      chat_template: chatTemplate,
      eosTokenIds: [2, 0],
    });
    expect(own.encodePrompt('')).toEqual([1]);
  });
});

describe('tokenizerOfGguf: llama', () => {
  const pieces = ['<unk>', '<s>', '</s>', '\u2581', 'a', 'b', 'ab', '\u2581a', '\u2581ab'];
  const llama = (more: Record<string, unknown> = {}) =>
    new Map<string, unknown>(
      Object.entries({
        'tokenizer.ggml.model': 'llama',
        'tokenizer.ggml.tokens': pieces,
        'tokenizer.ggml.scores': [0, 0, 0, -9, -9, -9, -1, -2, -3],
        'tokenizer.ggml.token_type': [2, 3, 3, 1, 1, 1, 1, 1, 1],
        ...more,
      }),
    );
  const own = (more?: Record<string, unknown>) => {
    const { tokenizer, tokenizerConfig } = tokenizerOfGguf(llama(more), 'x.gguf');
    return Tokenizer.fromJson(tokenizer, 'x', tokenizerConfig);
  };

  it('merges by score, with a space before the text, and begins with BOS', () => {
    expect(own().encodePrompt('ab')).toEqual([1, 8]);
    expect(own().encode('ba a')).toEqual([3, 5, 4, 7]);
    expect(own().endIds).toEqual([2]);
    expect(own({ 'tokenizer.ggml.add_space_prefix': false }).encode('ab')).toEqual([6]);
    expect(own({ 'tokenizer.ggml.add_bos_token': false }).encodePrompt('ab')).toEqual([8]);
  });

  it('keeps the id of an empty token taken', () => {
    const tokenizer = own({ 'tokenizer.ggml.tokens': pieces.map((piece) => (piece === '\u2581a' ? '' : piece)) });
    expect(tokenizer.encode('a ab')).toEqual([3, 4, 8]);
    expect(tokenizer.vocabSize).toBe(9);
  });
});

describe('tokenizerOfGguf', () => {
  it('names the key that is missing or wrong', () => {
    for (const [more, message] of [
      [{ 'tokenizer.ggml.model': undefined }, /tokenizer\.ggml\.model: expected a name, got nothing/],
      [{ 'tokenizer.ggml.model': 't5' }, /tokenizer\.ggml\.model "t5" is not supported: expected llama or gpt2/],
      [{ 'tokenizer.ggml.model': 3 }, /tokenizer\.ggml\.model: expected text, got 3/],
      [{ 'tokenizer.ggml.tokens': undefined }, /tokenizer\.ggml\.tokens: expected a list of tokens/],
      [{ 'tokenizer.ggml.tokens': 'abc' }, /tokenizer\.ggml\.tokens: expected a list/],
      [{ 'tokenizer.ggml.tokens': [1, 2] }, /tokenizer\.ggml\.tokens\[0\]: expected text, got 1/],
      [
        { 'tokenizer.ggml.tokens': ['a', 'a'], 'tokenizer.ggml.merges': [] },
        /tokens\[0\]: expected every token once, got "a"/,
      ],
      [{ 'tokenizer.ggml.tokens': new Array(2 ** 20 + 1).fill('a') }, /at most 1048576 values/],
      [{ 'tokenizer.ggml.scores': [1] }, /tokenizer\.ggml\.scores: expected \d+ values/],
      [{ 'tokenizer.ggml.merges': undefined }, /tokenizer\.ggml\.merges: expected a list of pairs/],
      [{ 'tokenizer.ggml.merges': ['ab'] }, /merges\[0\]: expected two tokens/],
      [{ 'tokenizer.ggml.merges': ['a 漢'] }, /merges\[0\]: expected tokens of the vocabulary, got "漢"/],
      [{ 'tokenizer.ggml.bos_token_id': 'x' }, /tokenizer\.ggml\.bos_token_id: expected a token id/],
      [{ 'tokenizer.ggml.add_bos_token': 1 }, /tokenizer\.ggml\.add_bos_token: expected true or false/],
      [{ 'tokenizer.chat_template': ['x'] }, /tokenizer\.chat_template: expected text, got a list/],
    ] as const) {
      const bad = metadata('gpt-2', { 'tokenizer.ggml.bos_token_id': 0, ...more });
      expect(() => tokenizerOfGguf(bad, 'x.gguf')).toThrow(FormatError);
      expect(() => tokenizerOfGguf(bad, 'x.gguf')).toThrow(message);
    }
  });

  it('keeps names that objects have of their own', () => {
    const more = { 'tokenizer.ggml.tokens': [...tokens, '__proto__', 'constructor'] };
    const own = Tokenizer.fromJson(tokenizerOfGguf(metadata('gpt-2', more), 'x').tokenizer);
    expect(own.vocabSize).toBe(tokens.length + 2);
  });
});
