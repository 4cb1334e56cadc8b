/** Sets of characters (Unicode code points without surrogates) as ascending ranges that do not touch. */

export interface CharacterRange {
  readonly first: number;
  readonly last: number;
}

export type CharacterSet = readonly CharacterRange[];

const LAST = 0x10ffff;
const SURROGATES: CharacterRange = { first: 0xd800, last: 0xdfff };

/** Every character. */
export const ALL_CHARACTERS: CharacterSet = complementOf([]);

/** Of ranges in any order, which may overlap and hold surrogates. */
export function characterSet(ranges: readonly CharacterRange[]): CharacterSet {
  return complementOf(complementOf(ranges));
}

/** All characters that are in none of the ranges. */
export function complementOf(ranges: readonly CharacterRange[]): CharacterSet {
  const gaps: CharacterRange[] = [];
  let next = 0;
  for (const { first, last } of [...ranges, SURROGATES].sort((a, b) => a.first - b.first)) {
    if (first > next) gaps.push({ first: next, last: first - 1 });
    next = Math.max(next, last + 1);
  }
  if (next <= LAST) gaps.push({ first: next, last: LAST });
  return gaps;
}
