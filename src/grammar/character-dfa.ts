/**
 * CharacterDfa: a regular language over characters as a deterministic automaton of bounded size.
 *
 * Made of patterns (Thompson's construction, then subsets) and combined: both of two, of a length, anything but some words. A pattern whose automaton
 * would blow up is refused here, when the schema is compiled, and not found out while a text is written. From every state of
 * a result some text can still end, so that nothing runs into a wall.
 */

import { ALL_CHARACTERS, type CharacterRange, complementOf } from './character-set.ts';
import { type Pattern, PatternProblem } from './parse-pattern.ts';

export interface Transition extends CharacterRange {
  readonly to: number;
}

/** State 0 is the first. Transitions ascend and are disjoint. */
export interface CharacterDfa {
  readonly transitions: readonly (readonly Transition[])[];
  readonly accepts: readonly boolean[];
}

const MOST_STATES = 5000;
const MOST_NFA_STATES = 10_000;
/** Looked-at transitions while subsets are built: some tens of milliseconds. */
const MOST_STEPS = 1_000_000;

/** Is told of steps as they are done, and may throw where there were too many before. */
export type CountSteps = (steps: number) => void;

const countNothing: CountSteps = () => {};

/** Throws PatternProblem where it would be too large. Null where no text matches. */
export function dfaOfPattern(pattern: Pattern, count = countNothing): CharacterDfa | null {
  const nfa = new Nfa(pattern);
  count(nfa.sets.length);
  return trimmed(new SubsetConstruction(nfa, count).build());
}

/** What both take, or null. */
export function bothOf(a: CharacterDfa, b: CharacterDfa, count = countNothing): CharacterDfa | null {
  const describe = ([atA, atB]: [number, number]): PairState => ({
    accepts: a.accepts[atA] && b.accepts[atB],
    transitions: overlaps(a.transitions[atA], b.transitions[atB]),
  });
  return explore(describe, count);
}

/** What `dfa` takes of `min` to `max` characters, or null. */
export function ofLength(dfa: CharacterDfa, min: number, max: number, count = countNothing): CharacterDfa | null {
  const describe = ([at, length]: [number, number]): PairState => ({
    accepts: dfa.accepts[at] && length >= min,
    transitions:
      length === max
        ? []
        : dfa.transitions[at].map(({ first, last, to }) => ({
            first,
            last,
            // Without a largest length all from the least on are the same.
            to: [to, max === Infinity ? Math.min(length + 1, min) : length + 1],
          })),
  });
  return explore(describe, count);
}

/** Every text that is none of `words`. Halves of surrogate pairs are no characters, so that no text is a word with one. */
export function anythingBut(words: readonly string[]): CharacterDfa {
  const children: Map<number, number>[] = [new Map()];
  const isWord = [false];
  for (const word of words) {
    if (/\p{Surrogate}/u.test(word)) continue;
    let at = 0;
    for (const character of word) {
      const code = character.codePointAt(0)!;
      let to = children[at].get(code);
      if (to === undefined) {
        to = children.length;
        children[at].set(code, to);
        children.push(new Map());
        isWord.push(false);
      }
      at = to;
    }
    isWord[at] = true;
  }
  const other = children.length;
  const transitions = children.map((byCode) => {
    const own = [...byCode].map(([code, to]) => ({ first: code, last: code, to }));
    const rest = complementOf(own).map((range) => ({ ...range, to: other }));
    return [...own, ...rest].sort((a, b) => a.first - b.first);
  });
  transitions.push(ALL_CHARACTERS.map((range) => ({ ...range, to: other })));
  return { transitions, accepts: [...isWord.map((is) => !is), true] };
}

/** Does it take this text? */
export function dfaAccepts(dfa: CharacterDfa, text: string): boolean {
  let at = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const transition = dfa.transitions[at].find(({ first, last }) => code >= first && code <= last);
    if (transition === undefined) return false;
    at = transition.to;
  }
  return dfa.accepts[at];
}

/** Thompson's automaton: states with at most one set of characters, and free moves. */
class Nfa {
  readonly free: number[][] = [];
  readonly sets: (readonly Transition[])[] = [];
  readonly start: number;
  readonly end: number;
  /** States from which every text is taken. */
  readonly universal = new Set<number>();

  constructor(pattern: Pattern) {
    this.end = this.#state();
    this.start = this.#build(pattern, this.end);
  }

  /** The state in front of `pattern`, behind which `to` stands. */
  #build(pattern: Pattern, to: number): number {
    switch (pattern.kind) {
      case 'set':
        return this.#state(pattern.set.map((range) => ({ ...range, to })));
      case 'sequence':
        return pattern.of.reduceRight((next, one) => this.#build(one, next), to);
      case 'choice': {
        const start = this.#state();
        this.free[start] = pattern.of.map((one) => this.#build(one, to));
        return start;
      }
      case 'repeat':
        return this.#repeat(pattern, to);
    }
  }

  #repeat({ of, min, max }: Pattern & { kind: 'repeat' }, to: number): number {
    let at = to;
    if (max === Infinity) {
      at = this.#state();
      this.free[at] = [to];
      this.free[at].push(this.#build(of, at));
      if (to === this.end && of.kind === 'set' && of.set === ALL_CHARACTERS) this.universal.add(at);
    } else {
      for (let i = min; i < max; i++) {
        const optional = this.#state();
        this.free[optional] = [to, this.#build(of, at)];
        at = optional;
      }
    }
    for (let i = 0; i < min; i++) at = this.#build(of, at);
    return at;
  }

  #state(transitions: readonly Transition[] = []): number {
    if (this.sets.length === MOST_NFA_STATES) throw tooLarge();
    this.free.push([]);
    return this.sets.push(transitions) - 1;
  }
}

class SubsetConstruction {
  readonly #nfa: Nfa;
  readonly #countAll: CountSteps;
  #steps = 0;

  constructor(nfa: Nfa, countAll: CountSteps) {
    this.#nfa = nfa;
    this.#countAll = countAll;
  }

  build(): CharacterDfa {
    const idOf = new Map<string, number>();
    const subsets: number[][] = [];
    const idOfSubset = (states: number[]): number => {
      const key = states.join();
      let id = idOf.get(key);
      if (id === undefined) {
        if (subsets.length === MOST_STATES) throw tooLarge();
        id = subsets.push(states) - 1;
        idOf.set(key, id);
      }
      return id;
    };
    const transitions: Transition[][] = [];
    idOfSubset(this.#closure([this.#nfa.start]));
    for (let at = 0; at < subsets.length; at++) {
      const moves = this.#moves(subsets[at]);
      transitions.push(
        moves.map(({ first, last, states }) => ({ first, last, to: idOfSubset(this.#closure(states)) })),
      );
    }
    return { transitions, accepts: subsets.map((states) => states.includes(this.#nfa.end)) };
  }

  /** For each range that no member tells apart, the states behind it. */
  #moves(subset: readonly number[]): (CharacterRange & { states: number[] })[] {
    const all = subset.flatMap((state) => this.#nfa.sets[state]);
    const cuts = [...new Set(all.flatMap(({ first, last }) => [first, last + 1]))].sort((a, b) => a - b);
    const moves: (CharacterRange & { states: number[] })[] = [];
    for (let i = 0; i + 1 < cuts.length; i++) {
      this.#count(all.length);
      const states = all.filter(({ first, last }) => first <= cuts[i] && cuts[i] <= last).map(({ to }) => to);
      if (states.length > 0) moves.push({ first: cuts[i], last: cuts[i + 1] - 1, states });
    }
    return moves;
  }

  #closure(states: readonly number[]): number[] {
    let seen = this.#reached(states);
    // Where everything may follow, what else may follow makes no difference: where a pattern was found is forgotten.
    const universal = [...seen].find((state) => this.#nfa.universal.has(state));
    if (universal !== undefined) seen = this.#reached([universal]);
    // What only moves on freely tells no two subsets apart.
    return [...seen].filter((one) => this.#nfa.sets[one].length > 0 || one === this.#nfa.end).sort((a, b) => a - b);
  }

  #reached(states: readonly number[]): Set<number> {
    const seen = new Set(states);
    for (const state of seen) {
      this.#count(1);
      for (const next of this.#nfa.free[state]) seen.add(next);
    }
    return seen;
  }

  #count(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) throw tooLarge();
    this.#countAll(steps);
  }
}

interface PairState {
  accepts: boolean;
  transitions: readonly (CharacterRange & { to: [number, number] })[];
}

/** The automaton whose states are pairs, as far as they can be reached from that of two first states. */
function explore(describe: (state: [number, number]) => PairState, count: CountSteps): CharacterDfa | null {
  const idOf = new Map<string, number>();
  const states: [number, number][] = [];
  const idOfPair = (pair: [number, number]): number => {
    const key = pair.join();
    let id = idOf.get(key);
    if (id === undefined) {
      if (states.length === MOST_STATES) throw tooLarge();
      id = states.push(pair) - 1;
      idOf.set(key, id);
    }
    return id;
  };
  idOfPair([0, 0]);
  const transitions: Transition[][] = [];
  const accepts: boolean[] = [];
  for (let at = 0; at < states.length; at++) {
    const state = describe(states[at]);
    count(1 + state.transitions.length);
    accepts.push(state.accepts);
    transitions.push(state.transitions.map(({ first, last, to }) => ({ first, last, to: idOfPair(to) })));
  }
  return trimmed({ transitions, accepts });
}

function overlaps(a: readonly Transition[], b: readonly Transition[]): PairState['transitions'] {
  const both: (CharacterRange & { to: [number, number] })[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [first, last] = [Math.max(a[i].first, b[j].first), Math.min(a[i].last, b[j].last)];
    if (first <= last) both.push({ first, last, to: [a[i].to, b[j].to] });
    if (a[i].last < b[j].last) i++;
    else j++;
  }
  return both;
}

/** Without states from which no text can end, and with neighbouring ranges joined; null where that is all of them. */
function trimmed({ transitions, accepts }: CharacterDfa): CharacterDfa | null {
  const before: number[][] = transitions.map(() => []);
  transitions.forEach((list, at) => {
    for (const { to } of list) before[to].push(at);
  });
  const ends = new Set(accepts.flatMap((does, at) => (does ? [at] : [])));
  for (const at of ends) for (const one of before[at]) ends.add(one);
  if (!ends.has(0)) return null;
  return { accepts, transitions: transitions.map((list) => joined(list.filter(({ to }) => ends.has(to)))) };
}

function joined(transitions: readonly Transition[]): Transition[] {
  const list: Transition[] = [];
  for (const one of transitions) {
    const previous = list.at(-1);
    if (previous?.to === one.to && previous.last + 1 === one.first)
      list[list.length - 1] = { ...previous, last: one.last };
    else list.push(one);
  }
  return list;
}

function tooLarge(): PatternProblem {
  return new PatternProblem(
    `its automaton is too large: expected at most ${MOST_STATES} states. Make counts smaller or leave the bounds of the length out`,
  );
}
