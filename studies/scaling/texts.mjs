/** What the study trains on and what it measures losses on: whole books for one, excerpts of other books for the other. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Of all .txt files of the folder, by name. */
const EVERY_NTH_TRAINED = 12;
const EVERY_NTH_VALIDATED = 20;
/** Between them and the trained ones: no file is both. */
const FIRST_VALIDATED = 5;
/** From the middle of a book: beginnings are title pages. Five of them are some 75,000 tokens. */
const EXCERPT_CHARACTERS = 60_000;

/** The files to train on and to validate with. Throws where the folder has too few. */
export function booksOf(folder) {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => path.join(folder, file));
  if (files.length < 2 * EVERY_NTH_VALIDATED) {
    throw new Error(
      `${folder} holds ${files.length} .txt files: the study needs at least ${2 * EVERY_NTH_VALIDATED}, one book each.`,
    );
  }
  const trained = files.filter((_, i) => i % EVERY_NTH_TRAINED === 0);
  const validated = files.filter((file, i) => i % EVERY_NTH_VALIDATED === FIRST_VALIDATED && !trained.includes(file));
  return { trained, validated };
}

/** Writes the excerpts that losses are measured on. */
export function writeExcerpts(files, to) {
  const excerpts = files.map((file) => {
    const text = readFileSync(file, 'utf8');
    const start = Math.max(0, Math.floor((text.length - EXCERPT_CHARACTERS) / 2));
    return text.slice(start, start + EXCERPT_CHARACTERS);
  });
  writeFileSync(to, excerpts.join('\n\n'));
}
