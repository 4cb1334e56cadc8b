/**
 * What all parts of a shape together say about values of one type: counts, bounds, texts, items, properties.
 *
 * Parts hold at once. So of bounds the nearest counts, patterns are intersected, and what an item or a property must be is the list of what each part says of it. Here too is decided what
 * a schema that is silent means: where some properties or first items are named, there are no others.
 */

import { bothOf, type CharacterDfa, dfaOfPattern, ofLength } from './character-dfa.ts';
import { ALL_CHARACTERS } from './character-set.ts';
import { type Conjunction, childPart, type Part, type PlainPart, type Shape } from './expand-schema.ts';
import type { Bound } from './number-range.ts';
import { PatternProblem, parsePattern } from './parse-pattern.ts';
import { refusal } from './schema-error.ts';
import type { SchemaObject } from './schema-keywords.ts';
import type { StepBudget } from './step-budget.ts';
import { STRING_FORMATS } from './string-formats.ts';

/** Texts cannot be longer than what a model writes; a shorter text would never do. */
const MOST_OF_LEAST = 1_000_000;

/** What each part costs for each property or first item, in the steps of a StepBudget. */
const COST_OF_CHILD = 20;

const ANY_TEXT: CharacterDfa = { transitions: [ALL_CHARACTERS.map((range) => ({ ...range, to: 0 }))], accepts: [true] };

export interface Counts {
  readonly min: number;
  readonly max: number;
}

/** `minX` and `maxX` of all parts. Throws UsageError for a least number that nobody can reach. */
export function countsOf(shape: Shape, what: 'Length' | 'Items'): Counts {
  const [least, most] = [`min${what}`, `max${what}`];
  const min = Math.max(0, ...numbersOf(shape, least));
  if (min > MOST_OF_LEAST) throw refusal(shape.pointer, `${least}: expected at most ${MOST_OF_LEAST}, got ${min}.`);
  return { min, max: Math.min(Infinity, ...numbersOf(shape, most)) };
}

/** The nearer of the bounds of all parts; null where there is none. */
export function boundsOf(shape: Shape): { min: Bound | null; max: Bound | null } {
  const bounds = (inclusive: string, exclusive: string): Bound[] => [
    ...numbersOf(shape, inclusive).map((value) => ({ value, isExclusive: false })),
    ...numbersOf(shape, exclusive).map((value) => ({ value, isExclusive: true })),
  ];
  const nearest = (all: Bound[], sign: number): Bound | null =>
    all.sort((a, b) => sign * (a.value - b.value) || Number(b.isExclusive) - Number(a.isExclusive))[0] ?? null;
  return {
    min: nearest(bounds('minimum', 'exclusiveMinimum'), -1),
    max: nearest(bounds('maximum', 'exclusiveMaximum'), 1),
  };
}

/**
 * The texts that every pattern and format takes, of the lengths asked for: null where no pattern or format is given, 'none' where no text does.
 * Throws UsageError for a pattern or format that is not supported, and where all those of the schema are too large together.
 */
export function textsOf(shape: Shape, budget: StepBudget): CharacterDfa | null | 'none' {
  const countAt = (place: string) => (steps: number) => budget.spend(steps, place, 'Use fewer or simpler patterns.');
  let texts: CharacterDfa | null = null;
  for (const { schema, pointer } of shape.parts) {
    for (const [keyword, source] of patternsOf(schema, pointer)) {
      const place = `${pointer}/${keyword}`;
      const count = countAt(place);
      count(source.length);
      const own = orRefuse(place, () => dfaOfPattern(parsePattern(source), count));
      if (own === null) return 'none';
      const before: CharacterDfa = texts ?? ANY_TEXT;
      texts = orRefuse(place, () => bothOf(before, own, count));
      if (texts === null) return 'none';
    }
  }
  const { min, max } = countsOf(shape, 'Length');
  if (texts === null || (min === 0 && max === Infinity)) return texts;
  const all = texts;
  return orRefuse(shape.pointer, () => ofLength(all, min, max, countAt(shape.pointer))) ?? 'none';
}

function patternsOf({ pattern, format }: SchemaObject, pointer: string): [keyword: string, source: string][] {
  const patterns: [string, string][] = pattern === undefined ? [] : [['pattern', pattern as string]];
  if (format === undefined) return patterns;
  const source = STRING_FORMATS.get(format as string);
  if (source !== undefined) return [...patterns, ['format', source]];
  const known = [...STRING_FORMATS.keys()].join(', ');
  throw refusal(
    pointer,
    `format: expected one of ${known}, got ${JSON.stringify(format)}. Use a pattern, or leave it out.`,
  );
}

function orRefuse<T>(pointer: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof PatternProblem)) throw error;
    throw refusal(pointer, `not supported: ${error.message}.`);
  }
}

/** What each of the first items must be, what those behind must be, and how many there are in all. */
export interface ArrayShape extends Counts {
  readonly prefix: readonly Conjunction[];
  readonly rest: Conjunction;
}

/** Where prefixItems stand and no part says what follows, nothing does. */
export function arrayOf(shape: Shape, budget: StepBudget): ArrayShape {
  const counts = shape.parts.map(({ schema }) => (schema.prefixItems as unknown[] | undefined)?.length ?? 0);
  spendForChildren(shape, counts, budget);
  const own = shape.parts.map((part) => ({
    prefix: ((part.schema.prefixItems as unknown[] | undefined) ?? []).map((schema, i) =>
      childPart(part, ['prefixItems', i], schema),
    ),
    rest: Object.hasOwn(part.schema, 'items') ? childPart(part, ['items'], part.schema.items) : null,
  }));
  const length = Math.max(0, ...own.map(({ prefix }) => prefix.length));
  const at = (i: number): Conjunction => own.flatMap(({ prefix, rest }) => prefix[i] ?? rest ?? []);
  const rest = own.flatMap((one) => one.rest ?? []);
  const isClosed = rest.some(({ schema }) => schema === false) || (rest.length === 0 && length > 0);
  const { min, max } = countsOf(shape, 'Items');
  const prefix = Array.from({ length }, (_, i) => at(i));
  // An array ends in front of an item that cannot be.
  const impossible = prefix.findIndex(isImpossible);
  const most = impossible >= 0 ? impossible : isClosed ? length : Infinity;
  return { prefix: prefix.slice(0, Math.min(max, most)), rest, min, max: Math.min(max, most) };
}

export interface ObjectShape {
  /** In the order in which they are written. */
  readonly properties: readonly { name: string; isRequired: boolean; value: Conjunction }[];
  /** What other properties must be; null where there are none. */
  readonly rest: Conjunction | null;
  /** The names that no other property may have. */
  readonly names: readonly string[];
}

/**
 * Properties come as they stand in `properties`, those that are only required behind them. Where properties are named and no part says what
 * others must be, there are no others. Null where a required property cannot be.
 */
export function objectOf(shape: Shape, budget: StepBudget): ObjectShape | null {
  const counts = shape.parts.map(({ schema: { properties, required } }) => {
    return Object.keys(properties ?? {}).length + ((required as string[] | undefined)?.length ?? 0);
  });
  spendForChildren(shape, counts, budget);
  const own = shape.parts.map((part) => ({
    properties: new Map(
      Object.entries((part.schema.properties as SchemaObject | undefined) ?? {}).map(([name, schema]) => [
        name,
        childPart(part, ['properties', name], schema),
      ]),
    ),
    rest: restOf(part),
  }));
  const required = new Set(shape.parts.flatMap(({ schema }) => (schema.required as string[] | undefined) ?? []));
  const names = [...new Set([...own.flatMap(({ properties }) => [...properties.keys()]), ...required])];
  const rest = own.flatMap((one) => one.rest ?? []);
  const isClosed = rest.some(({ schema }) => schema === false) || (rest.length === 0 && names.length > 0);
  const properties = names.map((name) => ({
    name,
    isRequired: required.has(name),
    value: own.flatMap((one) => one.properties.get(name) ?? one.rest ?? []),
  }));
  const possible = properties.filter(({ value }) => !isImpossible(value));
  if (properties.some(({ isRequired, value }) => isRequired && isImpossible(value))) return null;
  return { properties: possible, rest: isClosed ? null : rest, names };
}

/** Every part is asked about the children of all. Throws UsageError. */
function spendForChildren({ parts, pointer }: Shape, counts: readonly number[], budget: StepBudget): void {
  const children = counts.reduce((sum, count) => sum + count, 0);
  const advice = 'Use fewer properties, first items and branches.';
  budget.spend(COST_OF_CHILD * parts.length * children, pointer, advice);
}

function restOf(part: PlainPart): Part | null {
  if (!Object.hasOwn(part.schema, 'additionalProperties')) return null;
  return childPart(part, ['additionalProperties'], part.schema.additionalProperties);
}

function isImpossible(conjunction: Conjunction): boolean {
  return conjunction.some(({ schema }) => schema === false);
}

function numbersOf({ parts }: Shape, keyword: string): number[] {
  return parts.flatMap(({ schema }) => (schema[keyword] as number | undefined) ?? []);
}
