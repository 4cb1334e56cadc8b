/**
 * Which documents are for validation: whole documents, drawn by the seed, near the wanted share of the bytes.
 *
 * A document on both sides would let a model be tested on what it has learned by heart; only where there is a single
 * document is it cut near its end.
 */

import { UsageError } from '../util/errors.ts';
import { shuffled } from '../util/shuffled.ts';

export type Split =
  | { kind: 'documents'; validation: ReadonlySet<number> }
  /** One document: validation begins at the first paragraph, line or word after this many bytes. */
  | { kind: 'inside'; afterBytes: number };

/**
 * Splits documents of the given UTF-8 sizes. With two or more, each side gets at least one document: in random order,
 * a document is taken where that brings validation nearer to `share` of all bytes; if none does, the smallest one is.
 * Throws UsageError for a share outside (0, 1).
 */
export function splitDocuments(documentBytes: readonly number[], share: number, seed: number): Split {
  if (!(share > 0 && share < 1)) {
    throw new UsageError('data', `validation share: expected a number above 0 and below 1, got ${share}.`);
  }
  const total = documentBytes.reduce((sum, bytes) => sum + bytes, 0);
  if (documentBytes.length < 2) return { kind: 'inside', afterBytes: Math.floor(total * (1 - share)) };
  const wanted = total * share;
  const validation = new Set<number>();
  let taken = 0;
  for (const document of shuffled(documentBytes.length, seed)) {
    if (validation.size === documentBytes.length - 1) break;
    const bytes = documentBytes[document];
    if (Math.abs(taken + bytes - wanted) >= Math.abs(taken - wanted)) continue;
    validation.add(document);
    taken += bytes;
  }
  if (validation.size === 0) validation.add(smallest(documentBytes));
  return { kind: 'documents', validation };
}

function smallest(values: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] < values[best]) best = i;
  return best;
}
