/**
 * How much of a model's writing is made of real words: the share that occurs in the books. A number for what one sees in a
 * sample, honest about what it is: spelling, not sense.
 */

import { readFileSync } from 'node:fs';

const WORD = /[a-z]+(?:'[a-z]+)?/g;

/** Every word of the files, in lower case. */
export function wordsOf(paths: readonly string[]): Set<string> {
  const words = new Set<string>();
  for (const path of paths) {
    for (const [word] of readFileSync(path, 'utf8').toLowerCase().matchAll(WORD)) words.add(word);
  }
  return words;
}

/** Share of the words of `text` that are in `known`; the last one, which may be cut, is left out. NaN without words. */
export function knownShare(text: string, known: ReadonlySet<string>): number {
  const words = [...text.toLowerCase().matchAll(WORD)].map(([word]) => word).slice(0, -1);
  return words.filter((word) => known.has(word)).length / words.length;
}
