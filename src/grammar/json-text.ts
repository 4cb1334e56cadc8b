/**
 * JsonText: the parts of JSON's syntax (RFC 8259) that depend on no schema: white space, free strings, numbers.
 *
 * What a model could repeat forever without saying anything is bounded: white space between two signs is nothing, one space, or a line end with at most
 * 16 spaces or 8 tabs; numbers have at most 18 digits before the point, 18 behind it, and an exponent of 2. No text of these
 * leaves the range of a double. Free strings are UTF-8 with all of JSON's escapes; halves of surrogate pairs stand in pairs only.
 */

import type { Edge, GrammarBuilder, GrammarNode, Rule } from './grammar-node.ts';

/** Digits before the point, and behind it. */
export const MOST_DIGITS = 18;
const MOST_EXPONENT_DIGITS = 2;
const MOST_SPACES = 16;
const MOST_TABS = 8;

export class JsonText {
  readonly #builder: GrammarBuilder;
  readonly #space: Rule;
  readonly #tab: Rule;
  readonly #digit: Rule;
  /** Nothing, one space, or a line end and what indents the next line. */
  readonly #gap: Rule;
  /** One character of a string, as itself or as an escape. */
  readonly character: Rule;
  /** Any string with its quotes. */
  readonly string: Rule;
  readonly number: Rule;
  readonly integer: Rule;

  constructor(builder: GrammarBuilder) {
    this.#builder = builder;
    this.#space = builder.rule((end) => builder.text(' ', end));
    this.#tab = builder.rule((end) => builder.text('\t', end));
    this.#digit = builder.rule((end) => builder.range(0x30, 0x39, end));
    this.#gap = builder.rule((end) => this.#gapBefore(end));
    this.character = builder.rule((end) => anyCharacter(builder, end));
    this.string = builder.rule((end) => this.quoted((then) => builder.repeat(this.character, 0, Infinity, then), end));
    this.integer = builder.rule((end) => this.#integerPart(end));
    this.number = builder.rule((end) => this.#integerPart(this.#fraction(this.#exponent(end))));
  }

  gap(then: GrammarNode): GrammarNode {
    return this.#builder.call(this.#gap, then);
  }

  comma(then: GrammarNode): GrammarNode {
    return this.#builder.text(',', this.gap(then));
  }

  /** With at most one space behind it. */
  colon(then: GrammarNode): GrammarNode {
    const builder = this.#builder;
    return builder.text(':', builder.choice([builder.text(' ', then), then]));
  }

  quoted(content: (then: GrammarNode) => GrammarNode, then: GrammarNode): GrammarNode {
    return this.#builder.text('"', content(this.#builder.text('"', then)));
  }

  digits(min: number, max: number, then: GrammarNode): GrammarNode {
    return this.#builder.repeat(this.#digit, min, max, then);
  }

  /** The items of an array and its end: of `min` to `max` of them `done` have been read; the gap behind `[` has been too. */
  items(item: Rule, { done, min, max }: { done: number; min: number; max: number }, close: GrammarNode): GrammarNode {
    const builder = this.#builder;
    const following = builder.rule((end) => this.comma(builder.call(item, end)));
    const behind = (count: number) => builder.repeat(following, Math.max(0, min - count), max - count, this.gap(close));
    if (done > 0) return behind(done);
    const first = builder.call(item, behind(1));
    return min === 0 ? builder.choice([first, close]) : first;
  }

  #gapBefore(then: GrammarNode): GrammarNode {
    const builder = this.#builder;
    const spaces = builder.repeat(this.#space, 0, MOST_SPACES, then);
    const tabs = builder.repeat(this.#tab, 1, MOST_TABS, then);
    return builder.choice([then, builder.text(' ', then), builder.text('\n', builder.choice([spaces, tabs]))]);
  }

  #integerPart(then: GrammarNode): GrammarNode {
    const builder = this.#builder;
    const more = builder.range(0x31, 0x39, this.digits(0, MOST_DIGITS - 1, then));
    const unsigned = builder.choice([builder.text('0', then), more]);
    return builder.choice([builder.text('-', unsigned), unsigned]);
  }

  #fraction(then: GrammarNode): GrammarNode {
    const builder = this.#builder;
    return builder.choice([builder.text('.', this.digits(1, MOST_DIGITS, then)), then]);
  }

  #exponent(then: GrammarNode): GrammarNode {
    const builder = this.#builder;
    const digits = this.digits(1, MOST_EXPONENT_DIGITS, then);
    return builder.choice([builder.oneOf('eE', builder.choice([builder.oneOf('+-', digits), digits])), then]);
  }
}

/** UTF-8 by its well-formed byte sequences (Unicode, table 3-7) without control characters, quote and backslash; or an escape. */
function anyCharacter(builder: GrammarBuilder, then: GrammarNode): GrammarNode {
  const tail = (first: number, last: number, to: GrammarNode): GrammarNode => builder.range(first, last, to);
  const [one, two] = [tail(0x80, 0xbf, then), tail(0x80, 0xbf, tail(0x80, 0xbf, then))];
  const edges: [first: number, last: number, to: GrammarNode][] = [
    [0x20, 0x21, then],
    [0x23, 0x5b, then],
    [0x5d, 0x7f, then],
    [0xc2, 0xdf, one],
    [0xe0, 0xe0, tail(0xa0, 0xbf, one)],
    [0xe1, 0xec, two],
    [0xed, 0xed, tail(0x80, 0x9f, one)],
    [0xee, 0xef, two],
    [0xf0, 0xf0, tail(0x90, 0xbf, two)],
    [0xf1, 0xf3, tail(0x80, 0xbf, two)],
    [0xf4, 0xf4, tail(0x80, 0x8f, two)],
    [0x5c, 0x5c, anyEscape(builder, then)],
  ];
  return builder.read(edges.map(([first, last, to]): Edge => ({ first, last, to })));
}

/** Behind the backslash. */
function anyEscape(builder: GrammarBuilder, then: GrammarNode): GrammarNode {
  const ranges = (text: string, to: GrammarNode): Edge[] =>
    text.split(' ').map((pair) => ({ first: pair.charCodeAt(0), last: pair.charCodeAt(pair.length - 1), to }));
  const hex = (to: GrammarNode) => builder.read(ranges('0-9 a-f A-F', to));
  const two = hex(hex(then));
  // U+DC00 .. U+DFFF, the second half of a pair.
  const low = builder.text('\\u', builder.oneOf('dD', builder.read(ranges('c-f C-F', two))));
  const high = builder.read(ranges('8-9 a-b A-B', hex(hex(low)))).edges;
  const afterD = builder.read([...ranges('0-7', two), ...high]);
  const three = hex(two);
  const code = builder.read([...ranges('0-9 a-c e-f A-C E-F', three), ...ranges('d D', afterD)]);
  const short = builder.oneOf('"\\/bfnrt', then);
  return builder.choice([short, builder.text('u', code)]);
}
