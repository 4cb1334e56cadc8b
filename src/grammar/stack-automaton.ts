/**
 * StackAutomaton: where a text stands in a grammar, advanced byte by byte.
 *
 * A pushdown automaton over the nodes of grammar-node.ts. As a text may be read in several ways, a state is a set of stacks, kept as a graph:
 * the entries on top, each with the set of stacks that lie below it. Entries for the same node share one set below, so that n ways to come to a
 * node are one entry and not n stacks, however deep (Lang 1974; the graph-structured stack of Tomita). Sets are interned: equal states are one object,
 * which remembers its transitions, so that a state that comes again costs one look into a table, as in a lazily built DFA. What
 * is remembered is bounded: when it is too much, all of it is forgotten, and states in use begin anew. Bounded too is the work
 * for one byte, and what the stacks of one text hold: a schema whose alternatives multiply ends the text that it constrains, and not the process.
 *
 * Bytes that no edge of the grammar tells apart form a class, and transitions are kept by class.
 */

import { UsageError } from '../util/errors.ts';
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
  /** The same by the edges that were taken: many classes take the same. */
  behind: Map<string, Stacks> | null;
  /** In which life of the memory it was made. */
  readonly life: number;
}

/** All sets and their entries together, some 250 bytes each with what leads from them. */
const MOST_REMEMBERED = 100_000;

/** Entries in the stacks of one text. Schemas that are not hostile have a few for each bracket that is open. */
const MOST_HELD = 100_000;

/** Work is counted in edges that are looked at; to meet an entry takes as long as this many. */
const WORK_OF_ENTRY = 16;

/** For one byte, a tenth of a second. An object of five thousand optional properties takes half of it. */
const MOST_WORK = 2_000_000;

export class StackAutomaton {
  /** The class of each byte. */
  readonly classOf: Uint8Array;
  readonly #start: Stacks;
  readonly #nodeCount: number;
  #remembered = new Map<string, Stacks>();
  #size = 0;
  #life = 0;
  #made = 0;
  #work = 0;
  #mostWork = MOST_WORK;

  /**
   * `finish` is the node behind `rule`; node ids are below `nodeCount`. All nodes that can be reached have been built. Throws UsageError where too
   * many ways lead to the first byte.
   */
  constructor(rule: Rule, finish: GrammarNode, nodeCount: number) {
    this.#nodeCount = nodeCount;
    this.classOf = byteClasses(rule);
    const bottom = this.#intern([]);
    const root = this.#intern([{ node: finish, count: 0, below: bottom }]);
    const closure = new Closure(this.#meet, this.#intern);
    closure.add(rule.start!, 0, root);
    this.#start = this.#intern(this.#entriesOf(closure.tops()));
  }

  /** Counts how often states were forgotten: those of an earlier life come back as other objects. */
  get life(): number {
    return this.#life;
  }

  /** How many sets and entries are remembered. */
  get remembered(): number {
    return this.#size;
  }

  /** What was done so far, in edges that were looked at. */
  get work(): number {
    return this.#work;
  }

  get start(): Stacks {
    return this.renewed(this.#start);
  }

  /** The same state in this life of the memory, in which its transitions are remembered. */
  renewed(state: Stacks): Stacks {
    return state.life === this.#life ? state : this.#intern(state.entries);
  }

  /** The state after `byte`, null where it cannot follow. Throws UsageError where too many ways lead there, or its stacks grew too large. */
  advance(state: Stacks, byte: number): Stacks | null {
    const known = state.next[this.classOf[byte]];
    if (known !== undefined) return known;
    if (this.#size >= MOST_REMEMBERED) {
      this.#forget();
      // Stacks that grow come here again and again.
      if (holdsMoreThan(MOST_HELD, state)) throw tooDeep();
    }
    const current = this.renewed(state);
    const next = current.next[this.classOf[byte]];
    return next === undefined ? this.#step(current, byte) : next;
  }

  /** The state after some bytes, null where they cannot follow. Throws UsageError as `advance` does. */
  advanceAll(state: Stacks, bytes: Uint8Array): Stacks | null {
    let at: Stacks | null = state;
    for (let i = 0; i < bytes.length && at !== null; i++) at = this.advance(at, bytes[i]);
    return at;
  }

  /** All states. What callers hold stays valid, and holds on to nothing but its own stacks. */
  #forget(): void {
    for (const state of this.#remembered.values()) {
      state.next.length = 0;
      state.behind = null;
    }
    this.#remembered = new Map();
    this.#size = 0;
    this.#life++;
  }

  #step(state: Stacks, byte: number): Stacks | null {
    this.#mostWork = this.#work + MOST_WORK;
    const taken: { to: GrammarNode; below: Stacks }[] = [];
    let key = '';
    for (const [i, { node, below }] of state.entries.entries()) {
      if (node.kind !== 'read') continue;
      this.#count(node.edges.length);
      for (const { first, last, to } of node.edges) {
        if (byte < first || byte > last) continue;
        taken.push({ to, below });
        key += `${i}.${to.id} `;
      }
    }
    let next: Stacks | null = null;
    if (taken.length > 0) {
      state.behind ??= new Map();
      next = state.behind.get(key) ?? this.#after(taken);
      state.behind.set(key, next);
    }
    state.next[this.classOf[byte]] = next;
    return next;
  }

  #after(taken: readonly { to: GrammarNode; below: Stacks }[]): Stacks {
    const closure = new Closure(this.#meet, this.#intern);
    for (const { to, below } of taken) closure.add(to, 0, below);
    return this.#intern(this.#entriesOf(closure.tops()));
  }

  /** Sets of entries are equal where their members are. `entries` ascend by their keys. */
  readonly #intern = (entries: readonly Entry[]): Stacks => {
    let key = '';
    for (const { node, count, below } of entries) key += `${node.id}.${count}.${below.id} `;
    let stacks = this.#remembered.get(key);
    if (stacks === undefined) {
      const isComplete = entries.some(({ node }) => node.kind === 'finish');
      stacks = { id: this.#made++, entries, isComplete, next: [], behind: null, life: this.#life };
      this.#size += 1 + entries.length;
      this.#remembered.set(key, stacks);
    }
    return stacks;
  };

  /** All stacks of all of them, in one pass: what is met a thousand times must not be merged a thousand times. */
  readonly #union = (all: readonly Stacks[]): Stacks => {
    if (all.length === 1) return all[0];
    const merged = new Map<number, Met>();
    for (const { entries } of all) for (const entry of entries) this.#meet(merged, entry);
    return this.#intern(this.#entriesOf(merged));
  };

  /** In order, each over all that lies below it. */
  readonly #entriesOf = (met: ReadonlyMap<number, Met>): Entry[] => {
    const keys = [...met.keys()].sort((a, b) => a - b);
    return keys.map((key) => {
      const { node, count, below } = met.get(key)!;
      return { node, count, below: this.#union([...below]) };
    });
  };

  /** Whether this is news. */
  readonly #meet = (met: Map<number, Met>, { node, count, below }: Entry): boolean => {
    this.#count(WORK_OF_ENTRY);
    // Exact: ids are below 2^18 and counts below 2^32.
    const key = count * this.#nodeCount + node.id;
    const known = met.get(key);
    if (known === undefined) met.set(key, { node, count, below: new Set([below]) });
    else if (known.below.has(below)) return false;
    else known.below.add(below);
    return true;
  };

  #count(work: number): void {
    this.#work += work;
    if (this.#work > this.#mostWork) throw tooMuchWork();
  }
}

/** Of a schema whose alternatives, patterns or optional properties are open all at once. */
export function tooMuchWork(): UsageError {
  const what = 'the schema leaves too much open at once: expected fewer ways in which a text may go on';
  return new UsageError('grammar', `${what}, got too many to follow. Use fewer or simpler alternatives.`);
}

function tooDeep(): UsageError {
  const most = `at most ${MOST_HELD} entries on its stacks`;
  return new UsageError(
    'grammar',
    `the text is nested too deep for its schema: expected ${most}, got more. Bound the depth.`,
  );
}

/** Are there more than `most` entries in these stacks? */
function holdsMoreThan(most: number, state: Stacks): boolean {
  const seen = new Set([state]);
  let held = 0;
  for (const { entries } of seen) {
    held += entries.length;
    if (held > most) return true;
    for (const { below } of entries) seen.add(below);
  }
  return false;
}

/** An entry that was come to in several ways, with what lies below it in each. */
interface Met {
  readonly node: GrammarNode;
  readonly count: number;
  readonly below: Set<Stacks>;
}

/** Follows what reads nothing, until every entry on top reads a byte or is the end of the document. */
class Closure {
  readonly #met = new Map<number, Met>();
  readonly #waiting: Entry[] = [];
  readonly #meet: (met: Map<number, Met>, entry: Entry) => boolean;
  readonly #intern: (entries: readonly Entry[]) => Stacks;

  constructor(meet: (met: Map<number, Met>, entry: Entry) => boolean, intern: (entries: readonly Entry[]) => Stacks) {
    this.#meet = meet;
    this.#intern = intern;
  }

  add(node: GrammarNode, count: number, below: Stacks): void {
    const entry = { node, count, below };
    if (this.#meet(this.#met, entry)) this.#waiting.push(entry);
  }

  tops(): ReadonlyMap<number, Met> {
    for (let entry = this.#waiting.pop(); entry !== undefined; entry = this.#waiting.pop()) this.#follow(entry);
    for (const [key, { node }] of this.#met) {
      if (node.kind !== 'read' && node.kind !== 'finish') this.#met.delete(key);
    }
    return this.#met;
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
