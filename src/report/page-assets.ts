/** Scripts and styles of the pages in one file: made of web/ when the project is built, to be written into a page. */

import { readFileSync } from 'node:fs';
import { messageOf } from '../util/errors.ts';

/** Below the root of the package, which src/ and dist/ are one folder below. */
const FOLDER = new URL('../../dist/pages/', import.meta.url);

export interface PageAssets {
  /** A classic script: it runs where it stands. */
  readonly script: string;
  readonly style: string;
}

/** Throws where they are not built. */
export function readPageAssets(page: 'report' | 'law'): PageAssets {
  return { script: readAsset(`${page}.js`), style: readAsset(`${page}.css`) };
}

function readAsset(name: string): string {
  try {
    return readFileSync(new URL(name, FOLDER), 'utf8');
  } catch (error) {
    throw new Error(`the pages are not built (${messageOf(error)}). Run npm run build.`, { cause: error });
  }
}
