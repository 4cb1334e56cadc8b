import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anythingBut, bothOf, type CharacterDfa, dfaAccepts, dfaOfPattern, ofLength } from './character-dfa.ts';
import { PatternProblem, parsePattern } from './parse-pattern.ts';

const dfaOf = (source: string) => dfaOfPattern(parsePattern(source))!;

/** Random patterns that are too large are refused, which is tested by itself. */
function randomDfa(source: string): CharacterDfa {
  try {
    return dfaOf(source);
  } catch (error) {
    return fc.pre(/too large/.test(String(error)) === false) as never;
  }
}

const atom = fc.constantFrom(
  'a',
  'b',
  'é',
  '🙂',
  '.',
  '\\d',
  '\\w',
  '\\S',
  '[ab]',
  '[^a]',
  '[a-c\\d]',
  '\\.',
  '\\u00e9',
);
const count = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '{2,}', '*?');
const counted = (inside: fc.Arbitrary<string>) => fc.tuple(inside, count).map((pair) => pair.join(''));
const several = (inside: fc.Arbitrary<string>) => fc.array(inside, { maxLength: 3 }).map((all) => all.join(''));
const either = (inside: fc.Arbitrary<string>) =>
  fc.array(inside, { minLength: 1, maxLength: 2 }).map((all) => all.join('|'));
// Two levels: deeper ones are slow in RegExp, which tries one way after the other.
const group = either(several(counted(atom))).map((inside) => `(?:${inside})`);
const pattern = either(several(counted(fc.oneof(atom, group))));
const anchored = fc.tuple(fc.constantFrom('', '^'), pattern, fc.constantFrom('', '$')).map(([start, inside, end]) =>
  // Anchors belong to one alternative only.
  start + end === '' ? inside : `${start}(?:${inside})${end}`,
);
const text = fc
  .array(fc.constantFrom('a', 'b', 'c', 'é', '🙂', '1', '.', '-', ' ', '\n', '_'), { maxLength: 8 })
  .map((all) => all.join(''));

describe('patterns', () => {
  it('are found in the texts in which RegExp finds them', () => {
    fc.assert(
      fc.property(anchored, fc.array(text, { minLength: 8, maxLength: 8 }), (source, texts) => {
        const [dfa, expression] = [randomDfa(source), new RegExp(source, 'u')];
        for (const one of texts)
          expect(dfaAccepts(dfa, one), `${source} in ${JSON.stringify(one)}`).toBe(expression.test(one));
      }),
    );
  });

  it('hold together, and with bounds of the length', () => {
    fc.assert(
      fc.property(anchored, anchored, text, fc.nat(4), fc.nat(4), (a, b, one, min, more) => {
        const both = bothOf(randomDfa(a), randomDfa(b));
        const matches = [a, b].every((source) => new RegExp(source, 'u').test(one));
        expect(both !== null && dfaAccepts(both, one)).toBe(matches);
        const length = [...one].length;
        const bounded = ofLength(randomDfa(a), min, min + more);
        const fits = new RegExp(a, 'u').test(one) && length >= min && length <= min + more;
        expect(bounded !== null && dfaAccepts(bounded, one)).toBe(fits);
        const open = ofLength(randomDfa(a), min, Infinity);
        expect(open !== null && dfaAccepts(open, one)).toBe(new RegExp(a, 'u').test(one) && length >= min);
      }),
    );
  });

  it('never run into a wall', () => {
    fc.assert(
      fc.property(anchored, anchored, (a, b) => {
        const both = bothOf(randomDfa(a), randomDfa(b));
        for (const [at, list] of (both?.transitions ?? []).entries()) {
          const isReached = at === 0 || both!.transitions.some((all) => all.some(({ to }) => to === at));
          if (isReached) expect(list.length > 0 || both!.accepts[at]).toBe(true);
        }
      }),
    );
  });

  it('are refused by name where they are not regular or not supported', () => {
    const sources = [
      '(?=a)',
      '(?<!a)b',
      '(a)\\1',
      '\\bword\\b',
      '\\p{L}',
      'a^b',
      'a$b',
      '(^a)',
      '(a',
      'a)',
      '[a',
      'a{2',
      '{2}',
      '*a',
    ];
    for (const source of [...sources, 'a{3,1}', '[z-a]', '\\u{110000}', '\\ud800', '\\', '[\\d-z]', 'a**']) {
      expect(() => parsePattern(source), source).toThrow(PatternProblem);
    }
  });

  it('are refused where their automaton blows up', () => {
    const refused: [source: string, why: RegExp][] = [
      ['(a|b)*a(a|b){20}', /too large/],
      ['.*a.{300}', /too large/],
      ['(a{1,1000}){1,1000}', /too large/],
      ['((a{1,99}){1,99}){1,99}', /too large/],
      [`^(${'(a?){30}'.repeat(30)})$`, /too large/],
      ['a{99999999}', /too large/],
      [`${'('.repeat(60)}a${')'.repeat(60)}`, /at most 50 nested groups/],
      ['x'.repeat(6000), /at most 5000 characters/],
    ];
    for (const [source, why] of refused) {
      expect(() => dfaOf(source), source).toThrow(PatternProblem);
      expect(() => dfaOf(source), source).toThrow(why);
    }
    // What makes a search that goes back take for ever is a small automaton.
    expect(dfaAccepts(dfaOf('^(x+x+)+y$'), `${'x'.repeat(200)}y`)).toBe(true);
  });
});

describe('anythingBut', () => {
  it('takes every text but some words', () => {
    const words = ['a', 'ab', 'é', '', 'name', '🙂x'];
    const dfa = anythingBut(words);
    for (const word of words) expect(dfaAccepts(dfa, word), word).toBe(false);
    for (const other of ['b', 'aba', 'nam', 'names', 'ée', '🙂', '🙂y', 'A'])
      expect(dfaAccepts(dfa, other), other).toBe(true);
  });
});
