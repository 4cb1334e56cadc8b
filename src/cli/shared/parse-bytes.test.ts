import { describe, expect, it } from 'vitest';
import { UsageError } from '../../util/errors.ts';
import { parseBytes } from './parse-bytes.ts';

const parse = parseBytes('--memory');

describe('parseBytes', () => {
  it('reads powers of 1024', () => {
    const cases: [string, number][] = [
      ['512', 512],
      ['512b', 512],
      ['1k', 1024],
      ['1.5GiB', 1.5 * 2 ** 30],
      [' 4g ', 2 ** 32],
      ['2TB', 2 ** 41],
    ];
    for (const [text, bytes] of cases) expect([text, parse(text)]).toEqual([text, bytes]);
  });

  it('refuses what is no number of bytes', () => {
    for (const text of ['', '0', '-1g', '4 gigabytes', 'g', '1e9', '99999999t']) {
      expect(() => parse(text)).toThrow(UsageError);
    }
  });
});
