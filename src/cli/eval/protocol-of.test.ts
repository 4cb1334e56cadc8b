import { expect, it } from 'vitest';
import { protocolOf } from './protocol-of.ts';

const BOS = { prefixId: 1, bosId: 1 };

it('takes windows side by side of the context, up to 1024 tokens, and what is asked for otherwise', () => {
  expect(protocolOf(4096, BOS, {})).toEqual({ window: 1024, stride: 1024, minContext: 1, prefixId: null });
  expect(protocolOf(64, BOS, { stride: 8, minContext: 2, prefix: true })).toEqual({
    ...{ window: 64, stride: 8, minContext: 2, prefixId: 1 },
  });
  expect(() => protocolOf(64, BOS, { window: 65 })).toThrow(/expected at most 64 tokens, the model's context, got 65/);
  expect(() => protocolOf(64, { prefixId: null, bosId: null }, { prefix: true })).toThrow(/--prefix-token/);
});

it('that of llama-perplexity: 512 tokens, with a BOS where the tokenizer adds one', () => {
  const llama = { llamaPerplexity: true };
  const half = { window: 512, stride: 512, minContext: 257, prefixId: null };
  expect(protocolOf(4096, BOS, llama)).toEqual({ ...half, llama: { bosId: 1 } });
  expect(protocolOf(4096, { prefixId: 1, bosId: null }, llama)).toEqual({ ...half, llama: { bosId: null } });
  expect(protocolOf(64, BOS, llama)).toMatchObject({ window: 64, minContext: 33 });
  for (const other of [{ stride: 8 }, { minContext: 2 }, { prefix: true }]) {
    expect(() => protocolOf(64, BOS, { ...llama, ...other })).toThrow(
      /expected no --stride, --min-context or --prefix/,
    );
  }
});
