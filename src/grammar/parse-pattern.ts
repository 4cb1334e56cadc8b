/**
 * parsePattern: a regular expression of `pattern` as a tree of sets, sequences, choices and repetitions.
 *
 * The dialect is ECMA-262 with the flag u, as JSON Schema has it, and of it what is regular: characters, classes, groups, alternatives, counted
 * repetitions. `^` and `$` may stand at the two ends of the pattern or of its alternatives; where one is missing, anything may stand before or behind, since a
 * pattern need only be found somewhere. Lazy repetitions take the same texts as greedy ones. The rest is refused by name.
 */

import { ALL_CHARACTERS, type CharacterRange, type CharacterSet, characterSet, complementOf } from './character-set.ts';

export type Pattern =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly of: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly of: readonly Pattern[] }
  | { readonly kind: 'repeat'; readonly of: Pattern; readonly min: number; readonly max: number };

/** What is wrong with a pattern; the caller knows where it stands. */
export class PatternProblem extends Error {}

const MOST_CHARACTERS = 5000;
const DEEPEST_GROUP = 50;

const range = (first: string, last = first): CharacterRange => ({
  first: first.codePointAt(0)!,
  last: last.codePointAt(0)!,
});
const DIGITS = characterSet([range('0', '9')]);
const WORD = characterSet([range('0', '9'), range('A', 'Z'), range('_'), range('a', 'z')]);
// WhiteSpace and LineTerminator of ECMA-262.
const SPACE = characterSet([
  range('\t', '\r'),
  range(' '),
  range('\u00a0'),
  range('\u1680'),
  range('\u2000', '\u200a'),
  range('\u2028', '\u2029'),
  range('\u202f'),
  range('\u205f'),
  range('\u3000'),
  range('\ufeff'),
]);
const LINE_ENDS = [range('\n'), range('\r'), range('\u2028', '\u2029')];

const CLASSES: ReadonlyMap<string, CharacterSet> = new Map([
  ['d', DIGITS],
  ['D', complementOf(DIGITS)],
  ['w', WORD],
  ['W', complementOf(WORD)],
  ['s', SPACE],
  ['S', complementOf(SPACE)],
]);
const CONTROLS: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['f', '\f'],
  ['0', '\0'],
]);

const ANYTHING: Pattern = { kind: 'repeat', of: { kind: 'set', set: ALL_CHARACTERS }, min: 0, max: Infinity };

/** The whole texts in which `source` is found. Throws PatternProblem. */
export function parsePattern(source: string): Pattern {
  if (source.length > MOST_CHARACTERS) {
    throw new PatternProblem(`expected a pattern of at most ${MOST_CHARACTERS} characters, got ${source.length}`);
  }
  return new Parser(source).parse();
}

class Parser {
  readonly #characters: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#characters = Array.from(source);
  }

  parse(): Pattern {
    const alternatives: Pattern[] = [];
    do {
      const isFromStart = this.#skip('^');
      const sequence = this.#sequence();
      const isToEnd = this.#skip('$');
      const of = [...(isFromStart ? [] : [ANYTHING]), sequence, ...(isToEnd ? [] : [ANYTHING])];
      alternatives.push({ kind: 'sequence', of });
    } while (this.#skip('|'));
    if (this.#at < this.#characters.length) throw this.#unexpected();
    return { kind: 'choice', of: alternatives };
  }

  /** Inside of a group. */
  #alternatives(): Pattern {
    const of = [this.#sequence()];
    while (this.#skip('|')) of.push(this.#sequence());
    return { kind: 'choice', of };
  }

  #sequence(): Pattern {
    const of: Pattern[] = [];
    for (let next = this.#peek(); next !== '' && !'|)$'.includes(next); next = this.#peek()) of.push(this.#repeated());
    return { kind: 'sequence', of };
  }

  #repeated(): Pattern {
    const of = this.#atom();
    const counts = this.#counts();
    if (counts === null) return of;
    this.#skip('?');
    if (counts.min > counts.max) throw new PatternProblem(`{${counts.min},${counts.max}} is out of order`);
    return { kind: 'repeat', of, ...counts };
  }

  #counts(): { min: number; max: number } | null {
    if (this.#skip('*')) return { min: 0, max: Infinity };
    if (this.#skip('+')) return { min: 1, max: Infinity };
    if (this.#skip('?')) return { min: 0, max: 1 };
    if (!this.#skip('{')) return null;
    const min = this.#digits();
    if (min === '') throw this.#unexpected();
    if (this.#skip('}')) return { min: Number(min), max: Number(min) };
    if (!this.#skip(',')) throw this.#unexpected();
    const max = this.#digits();
    if (!this.#skip('}')) throw this.#unexpected();
    return { min: Number(min), max: max === '' ? Infinity : Number(max) };
  }

  #atom(): Pattern {
    if (this.#skip('(')) return this.#group();
    if (this.#skip('[')) return { kind: 'set', set: this.#class() };
    if (this.#skip('.')) return { kind: 'set', set: complementOf(LINE_ENDS) };
    if (this.#skip('\\')) return { kind: 'set', set: this.#escaped(false) };
    const character = this.#next();
    if ('^$*+?{}]|)'.includes(character)) {
      this.#at--;
      throw this.#unexpected();
    }
    return { kind: 'set', set: characterSet([range(character)]) };
  }

  #group(): Pattern {
    if (this.#skip('?')) {
      const isNamed = this.#peek() === '<' && !'=!'.includes(this.#characters[this.#at + 1] ?? '=');
      if (isNamed) while (this.#next() !== '>');
      else if (!this.#skip(':')) throw new PatternProblem('(?=, (?!, (?<= and (?<! are not supported');
    }
    if (++this.#depth > DEEPEST_GROUP) throw new PatternProblem(`expected at most ${DEEPEST_GROUP} nested groups`);
    const inside = this.#alternatives();
    this.#depth--;
    if (!this.#skip(')')) throw this.#unexpected();
    return inside;
  }

  #class(): CharacterSet {
    const isNegated = this.#skip('^');
    const ranges: CharacterRange[] = [];
    while (!this.#skip(']')) {
      const first = this.#classMember();
      if (this.#peek() !== '-' || this.#characters[this.#at + 1] === ']') {
        ranges.push(...first);
        continue;
      }
      this.#next();
      const last = this.#classMember();
      const [from, to] = [first[0], last[0]];
      const areSingle = [first, last].every((set) => set.length === 1 && set[0].first === set[0].last);
      if (!areSingle || from.first > to.first) throw new PatternProblem('a range of a class has no two ends in order');
      ranges.push({ first: from.first, last: to.first });
    }
    return isNegated ? complementOf(ranges) : characterSet(ranges);
  }

  #classMember(): CharacterSet {
    const character = this.#next();
    return character === '\\' ? this.#escaped(true) : [range(character)];
  }

  /** Behind the backslash. */
  #escaped(isInClass: boolean): CharacterSet {
    const character = this.#next();
    const set = CLASSES.get(character);
    if (set !== undefined) return set;
    const control = CONTROLS.get(character);
    if (control !== undefined) return [range(control)];
    if (character === 'b' && isInClass) return [range('\b')];
    if (character === 'x') return codeSet(this.#hex(2));
    if (character === 'u') return codeSet(this.#skip('{') ? this.#hexUntilBrace() : this.#hex(4));
    // Signs that need no escape are often escaped all the same.
    if (/[!-/:-@[-`{-~]/.test(character)) return [range(character)];
    throw new PatternProblem(
      `\\${character} is not supported: expected \\d, \\w, \\s, \\n, \\r, \\t, \\xHH, \\uHHHH or an escaped sign`,
    );
  }

  #hex(digits: number): number {
    const text = this.#characters.slice(this.#at, this.#at + digits).join('');
    this.#at += digits;
    if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== digits)
      throw new PatternProblem(`expected ${digits} hex digits`);
    return Number.parseInt(text, 16);
  }

  #hexUntilBrace(): number {
    let digits = 0;
    while (/[0-9a-fA-F]/.test(this.#characters[this.#at + digits] ?? '') && digits < 6) digits++;
    const code = this.#hex(digits);
    if (!this.#skip('}') || code > 0x10ffff) throw new PatternProblem('expected \\u{ with a code up to 10FFFF and }');
    return code;
  }

  #digits(): string {
    let text = '';
    while (/[0-9]/.test(this.#peek()) && this.#peek() !== '' && text.length < 9) text += this.#next();
    return text;
  }

  #peek(): string {
    return this.#characters[this.#at] ?? '';
  }

  #next(): string {
    if (this.#at >= this.#characters.length) throw new PatternProblem('it ends in the middle');
    return this.#characters[this.#at++];
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(): PatternProblem {
    const found = this.#peek() === '' ? 'its end' : `"${this.#peek()}"`;
    const anchors = '^ and $ may stand at its ends only';
    return new PatternProblem(`found ${found} at character ${this.#at} where it cannot stand (${anchors})`);
  }
}

function codeSet(code: number): CharacterSet {
  if (code >= 0xd800 && code <= 0xdfff) throw new PatternProblem('halves of surrogate pairs are no characters');
  return [{ first: code, last: code }];
}
