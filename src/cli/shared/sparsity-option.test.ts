import { describe, expect, it } from 'vitest';
import { UsageError } from '../../util/errors.ts';
import { parseSparsity } from './sparsity-option.ts';

const parse = parseSparsity('--sparsity');

describe('parseSparsity', () => {
  it('takes one share, or shares by point', () => {
    expect(parse('0.6')).toBe(0.6);
    expect(parse('60%')).toBe(0.6);
    expect(parse('qkv=0.6, down=90%')).toEqual({ qkv: 0.6, down: 0.9 });
  });

  it('says what is wrong', () => {
    expect(() => parse('1')).toThrow(UsageError);
    expect(() => parse('qkv=1.5')).toThrow('[--sparsity] expected a share');
    expect(() => parse('qvk=0.5')).toThrow('got "qvk". Did you mean "qkv"?');
    expect(() => parse('qkv=0.5,o')).toThrow(UsageError);
  });
});
