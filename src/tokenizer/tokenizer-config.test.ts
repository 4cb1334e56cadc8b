import { describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { Tokenizer } from './tokenizer.ts';
import { readTokenizerConfig } from './tokenizer-config.ts';
import { trainBpe } from './train-bpe.ts';

const tokenizer = trainBpe(['a b'], { vocabSize: 260, specialTokens: ['<|endoftext|>', '<s>', '</s>', '<|im_end|>'] });
const template = (first: string) => ({
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: first, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
});
const read = (sources: object) => readTokenizerConfig({ tokenizer, ...sources }, 'models/x');

describe('readTokenizerConfig', () => {
  it('reads tokens as text and as objects, and what ends a text from three files', () => {
    const config = read({
      tokenizerConfig: { bos_token: { content: '<s>', lstrip: false }, eos_token: '</s>', add_bos_token: true },
      generationConfig: { eos_token_id: [2, 3] },
      modelConfig: { eos_token_id: 3, vocab_size: 260 },
    });
    expect(config).toEqual({
      bos_token: '<s>',
      eos_token: '</s>',
      add_bos_token: true,
      chat_template: null,
      eosTokenIds: [2, 3],
    });
  });

  it('is empty for empty files', () => {
    const empty = { bos_token: null, eos_token: null, add_bos_token: false, chat_template: null, eosTokenIds: [] };
    expect(read({})).toEqual(empty);
    expect(read({ tokenizerConfig: {}, generationConfig: {}, modelConfig: {} })).toEqual(empty);
  });

  it('reads what it wrote', () => {
    const config = read({
      tokenizerConfig: { bos_token: '<s>', eos_token: '</s>', chat_template: 'x' },
      generationConfig: { eos_token_id: 3 },
    });
    expect(read({ tokenizerConfig: JSON.parse(JSON.stringify(config)) as object })).toEqual(config);
  });

  it('adds BOS where the post-processor does, unless the file says otherwise', () => {
    const withTemplate = { ...tokenizer, post_processor: template('<s>') };
    const inSequence = {
      ...tokenizer,
      post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template('<s>')] },
    };
    for (const one of [withTemplate, inSequence]) {
      expect(read({ tokenizer: one, tokenizerConfig: { bos_token: '<s>' } }).add_bos_token).toBe(true);
      expect(read({ tokenizer: one }).bos_token).toBe('<s>');
    }
    expect(
      read({ tokenizer: withTemplate, tokenizerConfig: { bos_token: '<s>', add_bos_token: false } }).add_bos_token,
    ).toBe(false);
    expect(read({ tokenizerConfig: { bos_token: '<s>' } }).add_bos_token).toBe(false);
    expect(read({ tokenizerConfig: { add_bos_token: true } }).add_bos_token).toBe(false);
  });

  it('finds the template in text, in a list, and in a file of its own', () => {
    expect(read({ tokenizerConfig: { chat_template: 'own' } }).chat_template).toBe('own');
    const list = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'plain' },
    ];
    expect(read({ tokenizerConfig: { chat_template: list } }).chat_template).toBe('plain');
    expect(read({ tokenizerConfig: { chat_template: list.slice(0, 1) } }).chat_template).toBeNull();
    expect(read({ tokenizerConfig: { chat_template: 'own' }, chatTemplate: 'file' }).chat_template).toBe('file');
  });

  it('names the field that is of another kind', () => {
    for (const [sources, message] of [
      [{ tokenizerConfig: [] }, /models\/x: tokenizer_config\.json: expected an object/],
      [{ tokenizerConfig: { bos_token: 3 } }, /bos_token: expected a token of at most 1024 characters, got 3/],
      [{ tokenizerConfig: { eos_token: 'x'.repeat(2000) } }, /eos_token/],
      [{ tokenizerConfig: { add_bos_token: 'yes' } }, /add_bos_token: expected true or false, got "yes"/],
      [{ tokenizerConfig: { chat_template: 'x'.repeat(2 ** 20 + 1) } }, /chat_template/],
      [{ tokenizerConfig: { chat_template: [null, { name: 'default', template: 7 }] } }, /chat_template/],
      [{ generationConfig: { eos_token_id: -1 } }, /generation_config\.json: eos_token_id/],
      [{ modelConfig: { eos_token_id: new Array(1000).fill(1) } }, /config\.json: eos_token_id/],
    ] as const) {
      expect(() => read(sources)).toThrow(FormatError);
      expect(() => read(sources)).toThrow(message);
    }
  });
});

describe('a tokenizer with a configuration', () => {
  const json = trainBpe(['a b'], { vocabSize: 259, specialTokens: ['<s>', '</s>', '<|im_end|>'] });
  const own = (config: object) =>
    Tokenizer.fromJson(json, 'x', readTokenizerConfig({ tokenizer: json, tokenizerConfig: config }, 'x'));

  it('begins prompts with BOS once, where it is wanted', () => {
    const wanted = own({ bos_token: '<s>', add_bos_token: true });
    expect(wanted.encodePrompt('a')).toEqual([0, ...wanted.encode('a')]);
    expect(wanted.encodePrompt('<s>a')).toEqual(wanted.encode('<s>a'));
    expect(wanted.encodePrompt('')).toEqual([0]);
    const notWanted = own({ bos_token: '<s>' });
    expect(notWanted.encodePrompt('a')).toEqual(notWanted.encode('a'));
    expect(notWanted.encodePrompt('')).toEqual([0]);
    expect(own({ eos_token: '</s>' }).encodePrompt('')).toEqual([1]);
    expect(own({}).encodePrompt('')).toEqual([]);
  });

  it('ends texts at all tokens that do', () => {
    expect(own({ eos_token: '</s>', eosTokenIds: [2] }).endIds).toEqual([2, 1]);
    expect(own({}).endIds).toEqual([]);
    expect(Tokenizer.fromJson(tokenizer).endIds).toEqual([0]);
  });
});
