/**
 * spellString: a language of characters as the strings of JSON that hold it: the bytes of UTF-8, and escapes where JSON asks for them.
 *
 * Each character has one spelling, the one of JSON.stringify: so the key `"\u0061"` cannot pass for another one than `"a"`.
 */

import type { CharacterDfa } from './character-dfa.ts';
import type { Edge, GrammarBuilder, GrammarNode, ReadNode } from './grammar-node.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SHORT_ESCAPES: ReadonlyMap<number, string> = new Map(
  ['b\b', 'f\f', 'n\n', 'r\r', 't\t', '""', '\\\\'].map(([name, character]) => [character.charCodeAt(0), name]),
);

/** The characters of each length in UTF-8, with the first byte of a sequence and how many bits it holds. */
const LENGTHS = [
  { first: 0x80, last: 0x7ff, lead: 0xc0, tails: 1 },
  { first: 0x800, last: 0xffff, lead: 0xe0, tails: 2 },
  { first: 0x10000, last: 0x10ffff, lead: 0xf0, tails: 3 },
] as const;

/** A string with its quotes, whose content is a text of `dfa`. */
export function spellString(builder: GrammarBuilder, dfa: CharacterDfa, then: GrammarNode): GrammarNode {
  const nodes = dfa.transitions.map(() => builder.read([]));
  const speller = new Speller(builder);
  dfa.transitions.forEach((transitions, at) => {
    for (const { first, last, to } of transitions) speller.addRange(nodes[at].edges, first, last, nodes[to]);
    if (dfa.accepts[at]) nodes[at].edges.push({ first: QUOTE, last: QUOTE, to: then });
  });
  return builder.range(QUOTE, QUOTE, nodes[0]);
}

class Speller {
  readonly #builder: GrammarBuilder;
  /** What stands behind first bytes, by where it leads: most states lead to few others with the same ranges. */
  readonly #tails = new Map<ReadNode, Map<string, GrammarNode>>();

  constructor(builder: GrammarBuilder) {
    this.#builder = builder;
  }

  /** Adds to `edges` what reads the characters `first` .. `last` and leads to `to`. */
  addRange(edges: Edge[], first: number, last: number, to: ReadNode): void {
    for (let code = first; code <= Math.min(last, 0x1f); code++) this.#addEscape(edges, code, to);
    for (const code of [QUOTE, BACKSLASH]) if (first <= code && code <= last) this.#addEscape(edges, code, to);
    const plain = [
      [0x20, QUOTE - 1],
      [QUOTE + 1, BACKSLASH - 1],
      [BACKSLASH + 1, 0x7f],
    ];
    for (const [from, upTo] of plain) {
      const [a, b] = [Math.max(from, first), Math.min(upTo, last)];
      if (a <= b) edges.push({ first: a, last: b, to });
    }
    for (const length of LENGTHS) {
      const [a, b] = [Math.max(length.first, first), Math.min(length.last, last)];
      if (a <= b) edges.push(...this.#sequences(a, b, length.lead, length.tails, to));
    }
  }

  #addEscape(edges: Edge[], code: number, to: ReadNode): void {
    const short = SHORT_ESCAPES.get(code);
    const name = short ?? `u${code.toString(16).padStart(4, '0')}`;
    const behind = this.#shared(to, name, () => this.#builder.text(name, to));
    edges.push({ first: BACKSLASH, last: BACKSLASH, to: behind });
  }

  /**
   * Edges for the byte above `tails` more ones, of the numbers `first` .. `last` with `lead` in the upper bits of this byte. A range is cut so
   * that every lower byte runs over all of its values, but at its two ends.
   */
  #sequences(first: number, last: number, lead: number, tails: number, to: ReadNode): Edge[] {
    if (tails === 0) return [{ first: lead | first, last: lead | last, to }];
    const size = 64 ** tails;
    const [top, bottom] = [Math.floor(first / size), Math.floor(last / size)];
    const edge = (from: number, upTo: number, a: number, b: number): Edge => ({
      first: lead | from,
      last: lead | upTo,
      to: this.#tail(a, b, tails, to),
    });
    if (top === bottom) return [edge(top, top, first - top * size, last - top * size)];
    const edges: Edge[] = [];
    const isWholeFirst = first === top * size;
    const isWholeLast = last === (bottom + 1) * size - 1;
    if (!isWholeFirst) edges.push(edge(top, top, first - top * size, size - 1));
    const [from, upTo] = [isWholeFirst ? top : top + 1, isWholeLast ? bottom : bottom - 1];
    if (from <= upTo) edges.push(edge(from, upTo, 0, size - 1));
    if (!isWholeLast) edges.push(edge(bottom, bottom, 0, last - bottom * size));
    return edges;
  }

  /** `tails` continuation bytes of six bits with the numbers `first` .. `last`. */
  #tail(first: number, last: number, tails: number, to: ReadNode): GrammarNode {
    return this.#shared(to, `${first}-${last}/${tails}`, () =>
      this.#builder.read(this.#sequences(first, last, 0x80, tails - 1, to)),
    );
  }

  #shared(to: ReadNode, key: string, make: () => GrammarNode): GrammarNode {
    const known = this.#tails.get(to) ?? new Map<string, GrammarNode>();
    this.#tails.set(to, known);
    const node = known.get(key) ?? make();
    known.set(key, node);
    return node;
  }
}
