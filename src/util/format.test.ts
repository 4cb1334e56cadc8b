import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatInteger,
  formatNumber,
  formatPercent,
  formatRate,
} from './format.ts';

describe('format', () => {
  it('keeps three significant digits over all sizes', () => {
    expect([0, 1.2345, 12.345, 123.45, 1234.5, 0.01234, -1.2345].map((x) => formatNumber(x))).toEqual([
      ...['0', '1.23', '12.3', '123', '1,235', '0.0123', '-1.23'],
    ]);
    expect(formatNumber(0.0000123)).toBe('1.23e-5');
    expect(formatNumber(Number.NaN)).toBe('-');
  });

  it('chooses units of counts and bytes, and rounds into the next unit', () => {
    expect([7, 999, 1000, 12_345, 1_234_567, 999_999, 7.6e9].map(formatCount)).toEqual([
      ...['7', '999', '1.00 k', '12.3 k', '1.23 M', '1.00 M', '7.60 G'],
    ]);
    expect([512, 1024, 12.3 * 1024, 1024 ** 3, 1024 ** 2 - 1].map(formatBytes)).toEqual([
      ...['512 B', '1.00 KiB', '12.3 KiB', '1.00 GiB', '1.00 MiB'],
    ]);
  });

  it('writes durations with the small unit in two digits and never 60 of it', () => {
    const seconds = [0, 0.00025, 0.85, 0.99999, 12.34, 59.99, 185, 3599.7, 7440, 86_399, 266_400];
    expect(seconds.map(formatDuration)).toEqual([
      ...['0 s', '250 µs', '850 ms', '1.00 s', '12.3 s', '1 min 00 s', '3 min 05 s', '1 h 00 min'],
      ...['2 h 04 min', '1 d 00 h', '3 d 02 h'],
    ]);
    expect(formatDuration(-1)).toBe('-');
    expect(formatDuration(Infinity)).toBe('-');
  });

  it('writes integers, rates and shares', () => {
    expect(formatInteger(1234567.4)).toBe('1,234,567');
    expect(formatRate(1234, 'tokens')).toBe('1,234 tokens/s');
    expect(formatRate(2.5e6, 'tokens')).toBe('2.50 M tokens/s');
    expect(formatPercent(0.6)).toBe('60.0 %');
    expect(formatPercent(Number.NaN)).toBe('-');
  });
});
