import { expect, it } from 'vitest';
import { tokenizer } from '../../test/support/fake-server.ts';
import { tokenName } from './token-text.ts';

it('names every token differently: by its text, its bytes, or its id', () => {
  const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
  expect(new Set(ids.map((id) => tokenName(tokenizer, id))).size).toBe(ids.length);
  const [first] = tokenizer.encode('🦊');
  expect(tokenName(tokenizer, first)).toBe('bytes:\\xf0');
  expect(tokenName(tokenizer, tokenizer.endIds[0])).toBe(`token_id:${tokenizer.endIds[0]}`);
  expect(tokenName(tokenizer, tokenizer.encode('a')[0])).toBe('a');
});
