/**
 * Numbers between two bounds as decimal digits, exactly.
 *
 * A whole number of as many digits as a bound is compared with it digit by digit; shorter and longer ones need no comparison. Numbers with a fraction
 * are those whose whole part lies between the bounds, with any fraction, and those whose whole part is that of a bound, with a fraction that is compared. There is no
 * exponent, and the text 0 has no sign.
 *
 * Comparing decimals is comparing doubles: rounding never changes an order, though it may make two texts equal. So a bound that belongs to the range is
 * exact as it is, and next to one that does not a text has so few digits (15) that no other text means the same double.
 */

import type { GrammarBuilder, GrammarNode } from './grammar-node.ts';
import { type JsonText, MOST_DIGITS } from './json-text.ts';

/** A bound as a double, and whether it belongs to the range itself. */
export interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}

/** A bound of a magnitude: digits before the point, and behind it without zeros at the end. */
interface Decimal {
  readonly whole: bigint;
  readonly fraction: string;
  readonly isExclusive: boolean;
}

/** What cannot be done with a bound; the caller knows where it stands. */
export class RangeProblem extends Error {}

const LARGEST = 10n ** BigInt(MOST_DIGITS) - 1n;
/** Decimals of this many digits are different doubles. */
const EXACT_DIGITS = 15;

/** Whole numbers from `min` to `max`, null where there is none. */
export function integersBetween(
  builder: GrammarBuilder,
  min: Bound | null,
  max: Bound | null,
  then: GrammarNode,
): GrammarNode | null {
  const low = min === null ? -LARGEST : wholeFrom(min, Math.ceil, 1n);
  const high = max === null ? LARGEST : wholeFrom(max, Math.floor, -1n);
  const [from, to] = [low < -LARGEST ? -LARGEST : low, high > LARGEST ? LARGEST : high];
  if ((min !== null && low > LARGEST) || (max !== null && high < -LARGEST)) {
    throw new RangeProblem(`expected a range with numbers of at most ${MOST_DIGITS} digits`);
  }
  const parts: GrammarNode[] = [];
  if (from < 0n) parts.push(...minus(builder, wholes(builder, to < 0n ? -to : 1n, -from, then)));
  if (to >= 0n) parts.push(...wholes(builder, from > 0n ? from : 0n, to, then));
  return parts.length === 0 ? null : builder.choice(parts);
}

/** Numbers with or without a fraction from `min` to `max`, null where there is none. */
export function numbersBetween(
  builder: GrammarBuilder,
  json: JsonText,
  min: Bound | null,
  max: Bound | null,
  then: GrammarNode,
): GrammarNode | null {
  const digits = Math.min(fractionDigits(min), fractionDigits(max));
  const decimals = new Decimals(builder, json, digits, then);
  const parts: GrammarNode[] = [];
  const zero: Decimal = { whole: 0n, fraction: '', isExclusive: false };
  if (min === null || min.value < 0) {
    const nearest = max !== null && max.value < 0 ? magnitude(max) : { ...zero, isExclusive: true };
    parts.push(...minus(builder, decimals.between(nearest, min && magnitude(min))));
  }
  if (max === null || max.value >= 0) {
    parts.push(
      ...decimals.between(
        min !== null && min.value > 0 ? magnitude(min) : exclusiveZero(min, zero),
        max && magnitude(max),
      ),
    );
  }
  return parts.length === 0 ? null : builder.choice(parts);
}

function exclusiveZero(min: Bound | null, zero: Decimal): Decimal {
  return { ...zero, isExclusive: min !== null && min.value === 0 && min.isExclusive };
}

function minus(builder: GrammarBuilder, parts: readonly GrammarNode[]): GrammarNode[] {
  return parts.length === 0 ? [] : [builder.text('-', builder.choice(parts))];
}

/** The nearest whole number inside of a bound. */
function wholeFrom({ value, isExclusive }: Bound, round: (value: number) => number, step: bigint): bigint {
  const whole = BigInt(round(value));
  return isExclusive && Number.isInteger(value) ? whole + step : whole;
}

/** Whole numbers `low` .. `high`, both at least 0: one part for each number of digits. */
function wholes(builder: GrammarBuilder, low: bigint, high: bigint, then: GrammarNode): GrammarNode[] {
  const parts: GrammarNode[] = [];
  for (let digits = low.toString().length; digits <= high.toString().length; digits++) {
    const least = digits === 1 ? 0n : 10n ** BigInt(digits - 1);
    const most = 10n ** BigInt(digits) - 1n;
    const [from, to] = [low > least ? low : least, high < most ? high : most];
    if (from <= to) parts.push(sameLength(builder, from.toString(), to.toString(), then));
  }
  return parts;
}

/** Numbers of as many digits as `low` and `high`, from one to the other. */
function sameLength(builder: GrammarBuilder, low: string, high: string, then: GrammarNode): GrammarNode {
  const known = new Map<string, GrammarNode>();
  const from = (at: number, isLow: boolean, isHigh: boolean): GrammarNode => {
    if (at === low.length) return then;
    const key = `${at}${isLow}${isHigh}`;
    let node = known.get(key);
    if (node === undefined) {
      const [first, last] = [isLow ? Number(low[at]) : 0, isHigh ? Number(high[at]) : 9];
      const edges = digitEdges(first, last, (digit) =>
        from(at + 1, isLow && digit === first, isHigh && digit === last),
      );
      node = builder.read(edges);
      known.set(key, node);
    }
    return node;
  };
  return from(0, true, true);
}

/** One edge for each digit; none where `behind` has nothing. */
function digitEdges(first: number, last: number, behind: (digit: number) => GrammarNode | null) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i).flatMap((digit) => {
    const to = behind(digit);
    return to === null ? [] : [{ first: 0x30 + digit, last: 0x30 + digit, to }];
  });
}

class Decimals {
  readonly #builder: GrammarBuilder;
  readonly #digits: number;
  readonly #then: GrammarNode;
  readonly #anyFraction: GrammarNode;

  constructor(builder: GrammarBuilder, json: JsonText, digits: number, then: GrammarNode) {
    this.#builder = builder;
    this.#digits = digits;
    this.#then = then;
    this.#anyFraction = digits === 0 ? then : builder.choice([builder.text('.', json.digits(1, digits, then)), then]);
  }

  /** `low` .. `high`, both at least 0; without `high` as far as digits go. */
  between(low: Decimal, high: Decimal | null): GrammarNode[] {
    const builder = this.#builder;
    const top = high === null ? LARGEST + 1n : high.whole;
    if (low.whole > top) return [];
    if (low.whole === top) return this.#withWhole(low.whole, low, high);
    return [
      ...this.#withWhole(low.whole, low, null),
      ...(low.whole + 1n < top ? wholes(builder, low.whole + 1n, top - 1n, this.#anyFraction) : []),
      ...(high === null ? [] : this.#withWhole(high.whole, null, high)),
    ];
  }

  /** This whole part, and a fraction between those of `low` and `high`. */
  #withWhole(whole: bigint, low: Decimal | null, high: Decimal | null): GrammarNode[] {
    const fraction = this.#fraction(low, high);
    return fraction === null ? [] : [this.#builder.text(whole.toString(), fraction)];
  }

  #fraction(low: Decimal | null, high: Decimal | null): GrammarNode | null {
    if (low === null && high === null) return this.#anyFraction;
    const known = new Map<string, GrammarNode | null>();
    /** Behind `at` digits that are so far those of the bounds named. */
    const from = (at: number, isLow: boolean, isHigh: boolean): GrammarNode | null => {
      const key = `${at}${isLow}${isHigh}`;
      const made = known.get(key);
      if (made !== undefined) return made;
      const canEnd = (!isLow || canEndAtLow(low!, at)) && (!isHigh || canEndAtHigh(high!, at));
      const first = isLow ? Number(low!.fraction[at] ?? 0) : 0;
      const last = isHigh ? Number(high!.fraction[at] ?? 0) : 9;
      const behind = (digit: number) => from(at + 1, isLow && digit === first, isHigh && digit === last);
      const edges = at === this.#digits ? [] : digitEdges(first, last, behind);
      const more = edges.length === 0 ? null : this.#builder.read(edges);
      const next = more === null || at > 0 ? more : this.#builder.text('.', more);
      const ways = [...(canEnd ? [this.#then] : []), ...(next === null ? [] : [next])];
      const node = ways.length === 0 ? null : this.#builder.choice(ways);
      known.set(key, node);
      return node;
    };
    return from(0, low !== null, high !== null);
  }
}

/** Is a text whose digits are those of `low` up to `at`, and end there, in the range? What `low` has more of is above 0. */
function canEndAtLow({ fraction, isExclusive }: Decimal, at: number): boolean {
  return fraction.length <= at && !isExclusive;
}

function canEndAtHigh({ fraction, isExclusive }: Decimal, at: number): boolean {
  return fraction.length > at || !isExclusive;
}

/** How many digits a fraction may have for this bound. */
function fractionDigits(bound: Bound | null): number {
  if (bound === null || (bound.value === 0 && bound.isExclusive)) return MOST_DIGITS;
  const { whole, fraction } = magnitude(bound);
  const most = bound.isExclusive ? EXACT_DIGITS - 1 - whole.toString().length : MOST_DIGITS;
  if (fraction.length <= most && whole <= LARGEST) return most;
  throw new RangeProblem(
    `expected a bound of at most ${bound.isExclusive ? EXACT_DIGITS - 1 : MOST_DIGITS} digits, got ${bound.value}`,
  );
}

/** The shortest decimal that means this double, without its sign. */
function magnitude({ value, isExclusive }: Bound): Decimal {
  const [digits, exponent = '0'] = Math.abs(value).toString().split('e');
  const [whole, fraction = ''] = digits.split('.');
  const shift = Number(exponent);
  const all = whole + fraction;
  const point = whole.length + shift;
  const padded = point <= 0 ? '0'.repeat(1 - point) + all : all.padEnd(point, '0');
  const at = Math.max(1, point);
  return { whole: BigInt(padded.slice(0, at)), fraction: padded.slice(at).replace(/0+$/, ''), isExclusive };
}
