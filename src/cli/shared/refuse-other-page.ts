/** A page that a command writes may replace an older one, and no other file: not a text, not a folder, not what the page is made from. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError where something else is at `file`. */
export function refuseOtherPage(file: string): void {
  if (!existsSync(file)) return;
  const isPage = statSync(file).isFile() && /^\s*<!doctype html/i.test(readFileSync(file, 'utf8').slice(0, 100));
  if (isPage) return;
  throw new UsageError('--out', `${file} is there and is no HTML page; nothing was written. Choose another --out.`);
}
