/**
 * constrainTokens: the tokens that may come next in one text, as the sampler asks for them.
 *
 * Follows the text token by token through the grammar's automaton. The tokens of a state are found once for a vocabulary
 * and kept, as states come again: inside of a string, between the items of a list, in the next request with the same grammar.
 */

import { QSparseError, UsageError } from '../util/errors.ts';
import type { GrammarVocabulary } from './grammar-vocabulary.ts';
import type { JsonGrammar } from './json-grammar.ts';
import type { Stacks } from './stack-automaton.ts';

/** As the sampler has it: bit `id % 32` of word `floor(id / 32)` is 1 where `id` may follow the ids generated so far. */
export type AllowedTokens = (generated: readonly number[]) => Uint32Array;

/** A set takes an eighth of a byte for each token: together some MB. */
const MOST_KEPT_SETS = 1000;

/**
 * For one text. `endIds` are allowed exactly where the document is complete, and nowhere else although they may have bytes; where nothing can
 * follow, only they are. Throws UsageError where there are none; what it returns throws QSparseError for ids that it did not allow,
 * and where the vocabulary cannot spell what must follow, and UsageError where the schema leaves too much open at once.
 */
export function constrainTokens(
  grammar: JsonGrammar,
  vocabulary: GrammarVocabulary,
  endIds: readonly number[],
): AllowedTokens {
  const ends = endIds.filter((id) => id >= 0 && id < vocabulary.size);
  if (ends.length === 0) {
    throw new UsageError(
      'grammar',
      `a document must be able to end: expected at least one token that ends a text, got ${endIds.length} inside the vocabulary of ${vocabulary.size}. ` +
        'Name one.',
    );
  }
  const text = new ConstrainedText(grammar, vocabulary, ends);
  return (generated) => text.allowedAfter(generated);
}

class ConstrainedText {
  readonly #grammar: JsonGrammar;
  readonly #vocabulary: GrammarVocabulary;
  readonly #endIds: readonly number[];
  readonly #allowed: Uint32Array;
  /** The ids that were followed, and where they lead; null behind the end. */
  #followed: number[] = [];
  #state: Stacks | null;

  constructor(grammar: JsonGrammar, vocabulary: GrammarVocabulary, endIds: readonly number[]) {
    this.#grammar = grammar;
    this.#vocabulary = vocabulary;
    this.#endIds = endIds;
    this.#allowed = new Uint32Array(Math.ceil(vocabulary.size / 32));
    this.#state = grammar.automaton.start;
  }

  allowedAfter(generated: readonly number[]): Uint32Array {
    this.#follow(generated);
    const allowed = this.#allowed;
    if (this.#state === null) allowed.fill(0);
    else allowed.set(keptTokens(this.#grammar, this.#vocabulary, this.#state));
    const canEnd = this.#state === null || this.#state.isComplete;
    for (const id of this.#endIds) {
      if (canEnd) allowed[id >>> 5] |= 1 << (id & 31);
      else allowed[id >>> 5] &= ~(1 << (id & 31));
    }
    if (allowed.every((word) => word === 0)) {
      throw new QSparseError(
        'grammar',
        'no token of the vocabulary can follow: it cannot spell what the schema asks for.',
      );
    }
    return allowed;
  }

  /** Goes on where `generated` continues what was followed, else begins anew. */
  #follow(generated: readonly number[]): void {
    if (!this.#followed.every((id, i) => generated[i] === id)) {
      this.#followed = [];
      this.#state = this.#grammar.automaton.start;
    }
    if (this.#state !== null) this.#state = this.#grammar.automaton.renewed(this.#state);
    for (const id of generated.slice(this.#followed.length)) {
      this.#state = this.#after(id);
      this.#followed.push(id);
    }
  }

  #after(id: number): Stacks | null {
    const state = this.#state;
    if (this.#endIds.includes(id) && (state === null || state.isComplete)) return null;
    const bytes = this.#vocabulary.tokenBytes[id] ?? null;
    const isText = state !== null && bytes !== null && bytes.length > 0 && !this.#endIds.includes(id);
    const next = isText ? this.#grammar.automaton.advanceAll(state, bytes) : null;
    if (next === null) {
      throw new QSparseError('grammar', `token ${id} was not allowed as number ${this.#followed.length} of this text.`);
    }
    return next;
  }
}

interface KeptSets {
  /** Of the automaton's memory: states of an earlier one do not come again. */
  life: number;
  readonly byState: Map<Stacks, Uint32Array>;
}

/** For a grammar and a vocabulary, as long as both live. */
const kept = new WeakMap<JsonGrammar, WeakMap<GrammarVocabulary, KeptSets>>();

function keptTokens(grammar: JsonGrammar, vocabulary: GrammarVocabulary, state: Stacks): Uint32Array {
  const { automaton } = grammar;
  const byVocabulary = kept.get(grammar) ?? new WeakMap<GrammarVocabulary, KeptSets>();
  kept.set(grammar, byVocabulary);
  const sets = byVocabulary.get(vocabulary) ?? { life: automaton.life, byState: new Map<Stacks, Uint32Array>() };
  byVocabulary.set(vocabulary, sets);
  if (sets.life !== automaton.life || sets.byState.size >= MOST_KEPT_SETS) sets.byState.clear();
  sets.life = automaton.life;
  let tokens = sets.byState.get(state);
  if (tokens === undefined) {
    tokens = vocabulary.tokensAfter(automaton, state);
    sets.byState.set(state, tokens);
  }
  return tokens;
}
