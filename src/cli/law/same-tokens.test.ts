import { describe, expect, it } from 'vitest';
import { checkSameTokens } from './same-tokens.ts';

const run = (tokens?: number) => ({ size: 1, sparsity: 0, loss: 4, format: 'float', ...(tokens && { tokens }) });

describe('checkSameTokens', () => {
  it('refuses runs of several D, not those of one or of none', () => {
    checkSameTokens('float', [run(), run()], '');
    checkSameTokens('float', [run(2), run(2)], '');
    expect(() => checkSameTokens('float', [run(2), run(3)], 'Plot those of one')).toThrow(
      '[law] the float runs have 2 numbers of training tokens. Plot those of one.',
    );
  });
});
