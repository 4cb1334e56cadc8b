import { describe, expect, it } from 'vitest';
import { type EvalTokenizer, encodeRequest } from './score-request.ts';

/** Words with the space before them, white space by itself: one id per distinct piece. */
function wordTokenizer(
  changes: Partial<EvalTokenizer> = {},
): EvalTokenizer & { textOf(ids: readonly number[]): string[] } {
  const pieces: string[] = ['<s>'];
  return {
    encode: (text) =>
      (text.match(/ ?\S+|\s/g) ?? []).map((piece) => {
        if (!pieces.includes(piece)) pieces.push(piece);
        return pieces.indexOf(piece);
      }),
    decodeStream: () => ({ push: () => '', flush: () => '' }),
    prefixId: 0,
    bosId: null,
    endIds: [],
    textOf: (ids) => ids.map((id) => pieces[id]),
    ...changes,
  };
}

function divided(
  context: string,
  continuation: string,
  changes: Partial<EvalTokenizer> = {},
  limit?: number,
): string[][] {
  const tokenizer = wordTokenizer(changes);
  const request = encodeRequest(tokenizer, context, continuation, limit);
  return [tokenizer.textOf(request.context), tokenizer.textOf(request.continuation)];
}

describe('encodeRequest', () => {
  it('gives white space at the end of a context to the continuation', () => {
    expect(divided('A b:', ' yes no')).toEqual([
      ['A', ' b:'],
      [' yes', ' no'],
    ]);
    expect(divided('A b: ', 'yes')).toEqual([['A', ' b:'], [' yes']]);
    expect(divided('A\n', 'b')).toEqual([['A'], ['\n', 'b']]);
  });

  it('an empty context is the token that begins a text', () => {
    expect(divided('', ' yes')).toEqual([['<s>'], [' yes']]);
    expect(divided(' ', 'yes')).toEqual([['<s>'], [' yes']]);
    expect(divided('', '<s> yes')).toEqual([['<s>'], [' yes']]);
    expect(() => divided('', ' yes', { prefixId: null })).toThrow(/Name one with --prefix-token/);
  });

  it('a tokenizer that adds it has it in front of every context', () => {
    expect(divided('A', ' b', { bosId: 0 })).toEqual([['<s>', 'A'], [' b']]);
    expect(divided('', ' b', { bosId: 0 })).toEqual([['<s>'], [' b']]);
  });

  it('the token of an empty context may be another one than the one in front of texts', () => {
    const changes = { prefixId: 0, bosId: 1 };
    const tokenizer = wordTokenizer(changes);
    tokenizer.encode('BOS');
    expect(encodeRequest(tokenizer, '', ' b').context).toEqual([0]);
    expect(encodeRequest(tokenizer, 'A', ' b').context[0]).toBe(1);
  });

  it('drops the left end of what is too long, the last id needs no place', () => {
    expect(divided('a b c d', ' e f', {}, 4)).toEqual([
      [' b', ' c', ' d'],
      [' e', ' f'],
    ]);
    expect(() => divided('a b', ' c d e', {}, 2)).toThrow(
      /a continuation of 3 tokens does not fit the model's context of 2/,
    );
    expect(() => divided('a', '')).toThrow(/the continuation "" has no tokens behind its context/);
  });
});
