/** Which models the study trains, on what, and in which order: seed by seed, the comparisons that need a spread first. */

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { recipes } from '../../recipes/ablations.mjs';

/** Of all .txt files of the folder, by name; the runs split them into training and validation by their seed. */
const EVERY_NTH_BOOK = 8;
/** Neither trained on nor validated with: what zeros are counted on at the end. */
const INSPECTED_BOOK = 1;

/** One coefficient or one point at a time, and larger models: trained once, the spread is that of the others. */
const TRAINED_ONCE = (name) => /^(l1|relu-gate|deep)/.test(name) || name.includes('-only');

export const SEEDS = [0, 1, 2];

/** Every run, `{ name, seed }`, in the order in which they are worth having. */
export function plannedRuns(seeds = SEEDS) {
  const names = Object.keys(recipes);
  const repeated = names.filter((name) => !TRAINED_ONCE(name));
  const [first, ...others] = seeds;
  const once = names.filter((name) => TRAINED_ONCE(name)).map((name) => ({ name, seed: first }));
  const of = (seed) => repeated.map((name) => ({ name, seed }));
  return [...of(first), ...once, ...others.flatMap(of)];
}

export function runDirectory(folder, { name, seed }) {
  return path.join(folder, `${name}-seed${seed}`);
}

/** The books to train on and the one to count zeros on. Throws where the folder has too few. */
export function booksOf(folder) {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => path.join(folder, file));
  if (files.length < 2 * EVERY_NTH_BOOK) {
    throw new Error(
      `${folder} holds ${files.length} .txt files: the study needs at least ${2 * EVERY_NTH_BOOK}, one book each.`,
    );
  }
  return { trained: files.filter((_, i) => i % EVERY_NTH_BOOK === 0), inspected: files[INSPECTED_BOOK] };
}
