import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../util/errors.ts';
import {
  addCommonOptions,
  parseChoice,
  parseInteger,
  parseList,
  parseNumber,
  parsePositiveInteger,
  parseShare,
} from './common-options.ts';

function parse(...args: string[]): unknown {
  return addCommonOptions(new Command('x').exitOverride()).parse(args, { from: 'user' }).opts();
}

describe('addCommonOptions', () => {
  it('has no value for what is left out, so that a command can have its own default', () => {
    expect(parse()).toEqual({ json: false });
  });

  it('reads all of them', () => {
    expect(parse('--json', '--threads', '4', '--backend', 'wasm', '--seed', '0')).toEqual({
      json: true,
      threads: 4,
      backend: 'wasm',
      seed: 0,
    });
  });

  it('names option, expectation and value of a wrong one', () => {
    expect(() => parse('--threads', '0')).toThrow('[--threads] expected a whole number of at least 1, got "0".');
    expect(() => parse('--backend', 'nativ')).toThrow('Did you mean "native"?');
  });
});

describe('parsers', () => {
  it.each(['', ' ', '1.5', '-1', '0x10', '1e400', 'NaN', 'Infinity', '12abc', '1 2'])('refuse %j', (text) => {
    expect(() => parsePositiveInteger('--n')(text)).toThrow(UsageError);
    expect(() => parseInteger('--n')(text)).toThrow(UsageError);
  });

  it('read numbers as people write them', () => {
    expect(parsePositiveInteger('--n')('1_000_000')).toBe(1_000_000);
    expect(parsePositiveInteger('--n')('2e3')).toBe(2000);
    expect(parseNumber('--lr')('1e-3')).toBe(0.001);
    expect(parseNumber('--lr')('.5')).toBe(0.5);
  });

  it('keep a number within its bounds and say them', () => {
    const parseTemperature = parseNumber('--temperature', { min: 0, max: 2 });
    expect(parseTemperature('2')).toBe(2);
    expect(() => parseTemperature('2.1')).toThrow('expected a number of at least 0 and at most 2, got "2.1".');
  });

  it('read a share as a number or in percent, below 1', () => {
    expect(['0', '0.6', '60%', '62.5 %'.replace(' ', '')].map(parseShare('--sparsity'))).toEqual([0, 0.6, 0.6, 0.625]);
    for (const text of ['1', '100%', '-0.1', '60', '%', '']) {
      expect(() => parseShare('--sparsity')(text)).toThrow(UsageError);
    }
  });

  it('read lists and choices', () => {
    const name = '--sparsity';
    expect(parseList(name, parseShare(name))('0, 0.4,0.6')).toEqual([0, 0.4, 0.6]);
    expect(() => parseList(name, parseShare(name))('0,,0.6')).toThrow(UsageError);
    expect(parseChoice('--activation', ['relu2', 'silu'])('silu')).toBe('silu');
    expect(() => parseChoice('--activation', ['relu2', 'silu'])('relu')).toThrow('Did you mean "relu2"?');
  });
});
