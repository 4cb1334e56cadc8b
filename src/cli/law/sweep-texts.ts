/**
 * The texts of a sweep: all of its runs are trained and measured on the same, whenever they are, because their table is fitted as one experiment.
 *
 * Their hashes are in OUT/texts.json from the first start on; a start with others is refused.
 */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { openTextSource } from '../../train/text-source.ts';
import { FormatError, messageOf, UsageError } from '../../util/errors.ts';
import { turnEventLoop } from '../../util/turn-event-loop.ts';

interface Texts {
  readonly text: string;
  /** null: losses are of the documents that each run held out. */
  readonly validation: string | null;
}

interface TextPaths {
  readonly out: string;
  readonly text: readonly string[];
  readonly validation?: readonly string[] | undefined;
}

/**
 * The file that losses are measured on, made of `validation`; null without. Throws UsageError, before anything is written, where the sweep was begun with another text or validation
 * text, and where one is not there; FormatError for a texts.json that is none of ours.
 */
export async function prepareTexts({ out, text, validation }: TextPaths): Promise<string | null> {
  const path = join(out, 'texts.json');
  const measured = validation === undefined ? null : joined(validation);
  const now: Texts = { text: await hashOfText(text), validation: measured === null ? null : hashOf(measured) };
  const before = existsSync(path) ? readTexts(path) : null;
  for (const name of ['text', 'validation'] as const) {
    if (before === null || before[name] === now[name]) continue;
    const [expected, found] = [before[name], now[name]].map((hash) => hash?.slice(0, 12) ?? 'none');
    const what = `is not the text that this sweep was begun with: expected ${expected}, got ${found} (${path})`;
    throw new UsageError(`--${name}`, `${what}. Restore it, or use another --out.`);
  }
  if (before === null) writeFileAtomically(path, `${JSON.stringify(now, null, 2)}\n`);
  if (measured === null) return null;
  const file = resolve(out, 'validation.txt');
  writeFileAtomically(file, measured);
  return file;
}

/** The texts as one, because an evaluation is of one text. */
function joined(paths: readonly string[]): string {
  const files = paths.flatMap((path) => {
    if (!existsSync(path)) throw new UsageError('--validation', `${path} does not exist. Name text files or folders.`);
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => name.endsWith('.txt'))
      .sort()
      .map((name) => join(path, name));
  });
  if (files.length === 0) throw new UsageError('--validation', `${paths.join(', ')} hold no .txt file.`);
  return files.map((path) => readFileSync(path, 'utf8')).join('\n\n');
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function hashOfText(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const { text, endsDocument } of openTextSource(paths).chunks()) {
    hash.update(text);
    if (endsDocument) hash.update('\0');
    await turnEventLoop();
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
