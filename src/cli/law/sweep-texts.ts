/**
 * The texts of a sweep: all of its runs are trained and measured on the same, whenever they are, because their table is fitted as one experiment.
 *
 * Their hashes are in OUT/texts.json from the first start on; a start with others is refused.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { openTextSource } from '../../train/text-source.ts';
import { FormatError, messageOf, UsageError } from '../../util/errors.ts';
import type { SweepFiles } from './sweep-run.ts';

interface Texts {
  readonly text: string;
  /** null: losses are of the documents that each run held out. */
  readonly validation: string | null;
}

/** Throws UsageError where the sweep was begun with another text or validation text, FormatError for a file that is none of ours. */
export async function checkTexts({
  out,
  text,
  validation,
}: Pick<SweepFiles, 'out' | 'text' | 'validation'>): Promise<void> {
  const path = join(out, 'texts.json');
  const now: Texts = { text: await hashOf(text), validation: validation === null ? null : await hashOf([validation]) };
  const before = existsSync(path) ? readTexts(path) : null;
  if (before === null) writeFileAtomically(path, `${JSON.stringify(now, null, 2)}\n`);
  for (const name of ['text', 'validation'] as const) {
    if (before === null || before[name] === now[name]) continue;
    const [expected, found] = [before[name], now[name]].map((hash) => hash?.slice(0, 12) ?? 'none');
    const what = `is not the text that this sweep was begun with: expected ${expected}, got ${found} (${path})`;
    throw new UsageError(`--${name}`, `${what}. Restore it, or use another --out.`);
  }
}

async function hashOf(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const { text, endsDocument } of openTextSource(paths).chunks()) {
    hash.update(text);
    if (endsDocument) hash.update('\0');
    await setImmediate();
  }
  return hash.digest('hex');
}

function readTexts(path: string): Texts {
  let found: Partial<Texts> | null;
  try {
    found = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FormatError('sweep', `${path} cannot be read: ${messageOf(error)}. Use another --out.`, path);
  }
  const isHash = (value: unknown) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
  if (isHash(found?.text) && (found?.validation === null || isHash(found?.validation))) return found as Texts;
  throw new FormatError('sweep', `${path}: expected the hashes of text and validation. Use another --out.`, path);
}
