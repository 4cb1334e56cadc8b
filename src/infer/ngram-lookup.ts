/**
 * Prompt lookup: the continuation that a text suggests by having said the same before (Saxena 2023, "Prompt lookup decoding").
 *
 * The end of the text is searched in the text itself, the longest match and of these the latest: answers quote their question, code repeats
 * names, a revised text repeats the original. It costs one pass over the ids and no model.
 */

/** Longest end of the text that is compared: longer ones hardly say more, and shorter ones are counted apart. */
export const MAX_MATCH = 4;

export interface NgramMatch {
  /** Ids of the end of the text that occurred before, 0 .. MAX_MATCH. */
  readonly length: number;
  /** Index of the id that followed them then. */
  readonly next: number;
}

export function findNgram(ids: readonly number[]): NgramMatch {
  const last = ids.length - 1;
  let best: NgramMatch = { length: 0, next: 0 };
  for (let end = last - 1; end >= 0 && best.length < MAX_MATCH; end--) {
    let length = 0;
    while (length < MAX_MATCH && length <= end && ids[end - length] === ids[last - length]) length++;
    if (length > best.length) best = { length, next: end + 1 };
  }
  return best;
}

/** `count` ids from `next` on; past the end of the text they go on with themselves, as a repetition does. */
export function continuation(ids: readonly number[], next: number, count: number): number[] {
  const draft: number[] = [];
  for (let i = 0; i < count; i++) draft.push(next + i < ids.length ? ids[next + i] : draft[next + i - ids.length]);
  return draft;
}
