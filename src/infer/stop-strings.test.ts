import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { StopStrings } from './stop-strings.ts';

/** All that comes out of `pieces`. */
function run(stops: string[], pieces: string[]): string {
  const filter = new StopStrings(stops);
  let shown = '';
  for (const piece of pieces) {
    const { text, stopped } = filter.push(piece);
    shown += text;
    if (stopped) return shown;
  }
  return shown + filter.flush();
}

describe('StopStrings', () => {
  it('cuts at a stop string that is spread over pieces', () => {
    expect(run(['END'], ['one E', 'N', 'D two'])).toBe('one ');
    expect(run(['\n\n'], ['a\n', 'b\n', '\nc'])).toBe('a\nb');
  });

  it('gives back what only looked like one', () => {
    expect(run(['END'], ['the EN', 'GINE'])).toBe('the ENGINE');
    expect(run(['END'], ['EN'])).toBe('EN');
    expect(new StopStrings(['END']).push('the EN').text).toBe('the ');
  });

  it('takes the earliest of several, and repeated beginnings', () => {
    expect(run(['yz', 'b'], ['abxyz'])).toBe('a');
    expect(run(['aab'], ['a', 'a', 'a', 'b', 'c'])).toBe('a');
  });

  it('without stop strings passes everything at once', () => {
    expect(new StopStrings([]).push('abc')).toEqual({ text: 'abc', stopped: false });
  });

  it('refuses an empty one', () => {
    expect(() => new StopStrings(['x', ''])).toThrow(UsageError);
  });

  it('shows the text before the stop string that is complete first, however it is cut into pieces', () => {
    const text = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 }), { maxLength: 12 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 3,
    });
    const property = fc.property(stops, text, (stopList, pieces) => {
      const whole = pieces.join('');
      // The shortest beginning that ends with a stop string; the longest such string is cut off.
      const beginnings = Array.from({ length: whole.length }, (_, i) => whole.slice(0, i + 1));
      const complete = beginnings.find((beginning) => stopList.some((stop) => beginning.endsWith(stop)));
      const cut = stopList.filter((stop) => complete?.endsWith(stop)).map((stop) => complete!.length - stop.length);
      expect(run(stopList, pieces)).toBe(whole.slice(0, Math.min(...cut, whole.length)));
    });
    fc.assert(property, { numRuns: 500 });
  });
});
