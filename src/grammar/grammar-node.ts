/**
 * Nodes of a grammar over bytes, and the builder that makes them: a recursive transition network.
 *
 * A rule is a graph that begins at `start`. Its nodes read a byte, choose, call another rule and go on behind it, repeat a rule, or end the
 * rule. Repetitions are counted and not unrolled, so that a bound of a million costs what a bound of two does. Graphs are built from the end: every
 * function takes the node that follows. What a grammar may cost is bounded here, by the number of its nodes.
 */

import { UsageError } from '../util/errors.ts';

/** Reads one byte of `first` .. `last`. */
export interface Edge {
  readonly first: number;
  readonly last: number;
  readonly to: GrammarNode;
}

export interface ReadNode {
  readonly id: number;
  readonly kind: 'read';
  /** Filled after the node was made, where the graph has circles. */
  readonly edges: Edge[];
}

export type GrammarNode =
  | ReadNode
  | { readonly id: number; readonly kind: 'choice'; readonly of: readonly GrammarNode[] }
  | { readonly id: number; readonly kind: 'call'; readonly rule: Rule; readonly then: GrammarNode }
  | {
      readonly id: number;
      readonly kind: 'repeat';
      readonly rule: Rule;
      readonly min: number;
      readonly max: number;
      readonly then: GrammarNode;
    }
  /** The end of a rule. */
  | { readonly id: number; readonly kind: 'end' }
  /** The end of the document. */
  | { readonly id: number; readonly kind: 'finish' };

export interface Rule {
  /** Set once, after the rule was named: rules may call themselves. */
  start: GrammarNode | null;
}

/** A node takes about 200 bytes; real schemas have a few thousand. */
const MOST_NODES = 200_000;

/** Counts above this are never reached. */
const MOST_REPEATS = 2 ** 31;

export class GrammarBuilder {
  #nodes = 0;
  readonly end: GrammarNode = { id: this.#nextId(), kind: 'end' };
  readonly finish: GrammarNode = { id: this.#nextId(), kind: 'finish' };
  readonly #encoder = new TextEncoder();

  /** Node ids are below this. */
  get size(): number {
    return this.#nodes;
  }

  read(edges: Edge[]): ReadNode {
    return { id: this.#nextId(), kind: 'read', edges };
  }

  /** One byte of a range. */
  range(first: number, last: number, then: GrammarNode): GrammarNode {
    return this.read([{ first, last, to: then }]);
  }

  /** These bytes of UTF-8, one after the other. */
  text(text: string, then: GrammarNode): GrammarNode {
    let node = then;
    for (const byte of this.#encoder.encode(text).reverse()) node = this.range(byte, byte, node);
    return node;
  }

  /** Any one of these characters of ASCII. */
  oneOf(characters: string, then: GrammarNode): GrammarNode {
    const codes = Array.from(characters, (character) => character.charCodeAt(0));
    return this.read(codes.map((code) => ({ first: code, last: code, to: then })));
  }

  /** One of these texts; those with the same beginning share it. */
  texts(texts: readonly string[], then: GrammarNode): GrammarNode {
    const root = this.read([]);
    /** The nodes behind each number of bytes of the text before. */
    let path: ReadNode[] = [root];
    let previous: Uint8Array = new Uint8Array();
    for (const text of [...new Set(texts)].sort()) {
      const bytes = this.#encoder.encode(text);
      let at = 0;
      while (at < path.length - 1 && at < bytes.length - 1 && bytes[at] === previous[at]) at++;
      path = path.slice(0, at + 1);
      for (; at < bytes.length; at++) {
        const next = at === bytes.length - 1 ? then : this.read([]);
        path[at].edges.push({ first: bytes[at], last: bytes[at], to: next });
        if (next.kind === 'read') path.push(next);
      }
      previous = bytes;
    }
    return root;
  }

  choice(of: readonly GrammarNode[]): GrammarNode {
    return of.length === 1 ? of[0] : { id: this.#nextId(), kind: 'choice', of };
  }

  call(rule: Rule, then: GrammarNode): GrammarNode {
    return { id: this.#nextId(), kind: 'call', rule, then };
  }

  /** `rule`, which reads at least one byte, at least `min` and at most `max` times. */
  repeat(rule: Rule, min: number, max: number, then: GrammarNode): GrammarNode {
    if (max === 0) return then;
    if (max === 1) return min === 1 ? this.call(rule, then) : this.choice([this.call(rule, then), then]);
    return { id: this.#nextId(), kind: 'repeat', rule, min, max: max > MOST_REPEATS ? Infinity : max, then };
  }

  /** A rule of what `build` makes in front of its end. */
  rule(build: (end: GrammarNode) => GrammarNode): Rule {
    return { start: build(this.end) };
  }

  #nextId(): number {
    if (this.#nodes === MOST_NODES) {
      throw new UsageError(
        'grammar',
        `the schema is too large: expected a grammar of at most ${MOST_NODES} nodes, got more. ` +
          'Use fewer or shorter enums, patterns and properties.',
      );
    }
    return this.#nodes++;
  }
}
