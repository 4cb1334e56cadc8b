/**
 * StackAutomaton: where a text stands in a grammar, advanced byte by byte.
 *
 * A pushdown automaton over the nodes of grammar-node.ts. As a text may be read in several ways, a state is a set of stacks, kept as a graph:
 * the entries on top, each with the set of stacks that lie below it. Entries for the same node share one set below, so that n ways to come to a
 * node are one entry and not n stacks, however deep (Lang 1974; the graph-structured stack of Tomita). Sets are interned: equal states are one object,
 * which remembers its transitions, so that a state that comes again costs one look into a table, as in a lazily built DFA. What
 * is remembered is bounded: when it is too much, all of it is forgotten, and states in use begin anew.
 *
 * Bytes that no edge of the grammar tells apart form a class, and transitions are kept by class.
 */

import type { GrammarNode, Rule } from './grammar-node.ts';

/** The node on top of stacks; for a repetition with the number of its items before this place. */
interface Entry {
  readonly node: GrammarNode;
  readonly count: number;
  readonly below: Stacks;
}

/** A set of stacks. As a state: its entries read a byte, or are the end of the document. */
export interface Stacks {
  readonly id: number;
  readonly entries: readonly Entry[];
  /** May the document end here? */
  readonly isComplete: boolean;
  /** The state after a byte of each class, null where there is none; undefined where nobody asked yet. */
  readonly next: (Stacks | null | undefined)[];
  /** In which life of the memory it was made. */
  readonly life: number;
}

/** About 1 KB each. */
const MOST_REMEMBERED = 20_000;

export class StackAutomaton {
  /** The class of each byte. */
  readonly classOf: Uint8Array;
  readonly #start: Stacks;
  readonly #nodeCount: number;
  #remembered = new Map<string, Stacks>();
  #life = 0;
  #made = 0;

  /** `finish` is the node behind `rule`; node ids are below `nodeCount`. All nodes that can be reached have been built. */
  constructor(rule: Rule, finish: GrammarNode, nodeCount: number) {
    this.#nodeCount = nodeCount;
    this.classOf = byteClasses(rule);
    const bottom = this.#intern([]);
    const root = this.#intern([{ node: finish, count: 0, below: bottom }]);
    const closure = new Closure(this.#nodeCount, this.#union, this.#intern);
    closure.add(rule.start!, 0, root);
    this.#start = this.#intern(closure.tops());
  }

  get start(): Stacks {
    return this.renewed(this.#start);
  }

  /** The same state in this life of the memory: it would hold on to all of an earlier one. */
  renewed(state: Stacks): Stacks {
    return state.life === this.#life ? state : this.#intern(state.entries);
  }

  /** The state after `byte`, null where it cannot follow. */
  advance(state: Stacks, byte: number): Stacks | null {
    const next = state.next[this.classOf[byte]];
    return next === undefined ? this.#step(state, byte) : next;
  }

  /** The state after some bytes, null where they cannot follow. */
  advanceAll(state: Stacks, bytes: Uint8Array): Stacks | null {
    let at: Stacks | null = state;
    for (let i = 0; i < bytes.length && at !== null; i++) at = this.advance(at, bytes[i]);
    return at;
  }

  /** Forgets states where there are too many. What callers hold stays valid, and is best `renewed`. */
  tidy(): void {
    if (this.#remembered.size < MOST_REMEMBERED) return;
    this.#remembered = new Map();
    this.#life++;
  }

  #step(state: Stacks, byte: number): Stacks | null {
    const closure = new Closure(this.#nodeCount, this.#union, this.#intern);
    for (const { node, below } of state.entries) {
      if (node.kind !== 'read') continue;
      for (const { first, last, to } of node.edges) if (byte >= first && byte <= last) closure.add(to, 0, below);
    }
    const tops = closure.tops();
    const next = tops.length === 0 ? null : this.#intern(tops);
    state.next[this.classOf[byte]] = next;
    return next;
  }

  /** Sets of entries are equal where their members are. `entries` ascend by their keys. */
  readonly #intern = (entries: readonly Entry[]): Stacks => {
    let key = '';
    for (const { node, count, below } of entries) key += `${node.id}.${count}.${below.id} `;
    let stacks = this.#remembered.get(key);
    if (stacks === undefined) {
      const isComplete = entries.some(({ node }) => node.kind === 'finish');
      stacks = { id: this.#made++, entries, isComplete, next: [], life: this.#life };
      this.#remembered.set(key, stacks);
    }
    return stacks;
  };

  /** All stacks of both. */
  readonly #union = (a: Stacks, b: Stacks): Stacks => {
    if (a === b || b.entries.length === 0) return a;
    if (a.entries.length === 0) return b;
    const merged = new Map<number, Entry>();
    for (const entry of [...a.entries, ...b.entries]) {
      const key = entryKey(entry.node, entry.count, this.#nodeCount);
      const other = merged.get(key);
      merged.set(key, other === undefined ? entry : { ...entry, below: this.#union(other.below, entry.below) });
    }
    return this.#intern(sorted(merged));
  };
}

/** Follows what reads nothing, until every entry on top reads a byte or is the end of the document. */
class Closure {
  readonly #entries = new Map<number, Entry>();
  readonly #waiting: number[] = [];
  readonly #nodeCount: number;
  readonly #union: (a: Stacks, b: Stacks) => Stacks;
  readonly #intern: (entries: readonly Entry[]) => Stacks;

  constructor(
    nodeCount: number,
    union: (a: Stacks, b: Stacks) => Stacks,
    intern: (entries: readonly Entry[]) => Stacks,
  ) {
    this.#nodeCount = nodeCount;
    this.#union = union;
    this.#intern = intern;
  }

  add(node: GrammarNode, count: number, below: Stacks): void {
    const key = entryKey(node, count, this.#nodeCount);
    const known = this.#entries.get(key);
    const all = known === undefined ? below : this.#union(known.below, below);
    if (all === known?.below) return;
    this.#entries.set(key, { node, count, below: all });
    // Also where it was followed before: there are more stacks below it now.
    this.#waiting.push(key);
  }

  tops(): Entry[] {
    for (let key = this.#waiting.pop(); key !== undefined; key = this.#waiting.pop()) {
      this.#follow(this.#entries.get(key)!);
    }
    for (const [key, { node }] of this.#entries) {
      if (node.kind !== 'read' && node.kind !== 'finish') this.#entries.delete(key);
    }
    return sorted(this.#entries);
  }

  #follow({ node, count, below }: Entry): void {
    switch (node.kind) {
      case 'choice':
        for (const one of node.of) this.add(one, 0, below);
        return;
      case 'call':
        // With nothing behind it, the caller is not needed any more: so stacks stay as deep as the document.
        if (node.then.kind === 'end') this.add(node.rule.start!, 0, below);
        else this.add(node.rule.start!, 0, this.#intern([{ node: node.then, count: 0, below }]));
        return;
      case 'repeat': {
        const { rule, min, max, then } = node;
        // Without a largest number all counts from the least on are the same.
        const following = max === Infinity ? Math.min(count + 1, min) : count + 1;
        if (count < max) this.add(rule.start!, 0, this.#intern([{ node, count: following, below }]));
        if (count >= min) this.add(then, 0, below);
        return;
      }
      case 'end':
        for (const entry of below.entries) this.add(entry.node, entry.count, entry.below);
    }
  }
}

/** Exact: ids are below 2^18 and counts below 2^32. */
function entryKey(node: GrammarNode, count: number, nodeCount: number): number {
  return count * nodeCount + node.id;
}

function sorted(entries: ReadonlyMap<number, Entry>): Entry[] {
  if (entries.size === 1) return [...entries.values()];
  return [...entries].sort(([a], [b]) => a - b).map(([, entry]) => entry);
}

/** Bytes are in one class where every edge that can be reached from `rule` reads both or neither. */
function byteClasses(rule: Rule): Uint8Array {
  const isFirst = new Uint8Array(257);
  const seen = new Set<GrammarNode>();
  const waiting: GrammarNode[] = [rule.start!];
  const visit = (node: GrammarNode) => {
    if (seen.has(node)) return;
    seen.add(node);
    waiting.push(node);
  };
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.kind === 'choice') node.of.forEach(visit);
    if (node.kind === 'call' || node.kind === 'repeat') [node.rule.start!, node.then].forEach(visit);
    if (node.kind !== 'read') continue;
    for (const { first, last, to } of node.edges) {
      isFirst[first] = 1;
      isFirst[last + 1] = 1;
      visit(to);
    }
  }
  const classes = new Uint8Array(256);
  for (let byte = 1; byte < 256; byte++) classes[byte] = classes[byte - 1] + isFirst[byte];
  return classes;
}
