/** The identity of an item: what it asks, whatever file or task it came from. */

import { createHash } from 'node:crypto';

/** The first 16 hex digits of SHA-256 over the texts in UTF-8, a zero byte between two. */
export function hashTexts(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 16);
}
