import { describe, expect, it } from 'vitest';
import { readTokenizerConfig } from '../../tokenizer/tokenizer-config.ts';
import { trainBpe } from '../../tokenizer/train-bpe.ts';
import { chatText } from './chat-text.ts';

describe('chatText', () => {
  it.each([
    ['is none', null],
    ['names no end of a text', { eos_token: null, bos_token: null }],
  ])('ends answers with the end of text where its configuration %s', (_name, tokenizerConfig) => {
    const model = { path: 'm', tokenizer: trainBpe(['a b c'], { vocabSize: 257 }), tokenizerConfig };
    const text = chatText(model, 'plain');
    expect(readTokenizerConfig(text, 'm').eos_token).toBe('<|endoftext|>');
  });
});
