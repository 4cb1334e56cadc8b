/**
 * `--text` of the commands that measure: a text file is one text, a line of JSONL is one, a folder holds those of its files. Several texts know nothing of each other.
 */

import type { Command } from 'commander';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { openTextSource } from '../../train/text-source.ts';
import { UsageError } from '../../util/errors.ts';

export interface TextFileOptions {
  text?: string;
  textField?: string;
}

export function addTextFileOptions(command: Command, description: string): Command {
  return command
    .option('--text <file>', description)
    .option('--text-field <name>', 'field of a line of .jsonl that holds its text (default: text)');
}

/** Undefined without `--text`. Throws UsageError for a path that is not there, no text at all and a field of no files, FormatError for what is no UTF-8 or no JSONL. */
export function givenTexts({ text: path, textField }: TextFileOptions): readonly string[] | undefined {
  if (path === undefined && textField === undefined) return undefined;
  if (path === undefined) {
    throw new UsageError('--text-field', 'is of the files of --text, got none. Leave it out, or give --text.');
  }
  const source = openTextSource([path], textField === undefined ? {} : { field: textField });
  const texts: string[] = [];
  let pieces: string[] = [];
  for (const { text, endsDocument } of source.chunks()) {
    pieces.push(text);
    if (!endsDocument) continue;
    texts.push(pieces.join(''));
    pieces = [];
  }
  return texts;
}

/**
 * The first ids of texts in a row, for what counts over all of them: of several each begins as the model saw texts begin; a single one may be an excerpt, and nothing is put in front of it.
 * Texts behind those are not encoded.
 */
export function encodeTexts(
  tokenizer: Pick<Tokenizer, 'encode' | 'encodePrompt'>,
  texts: readonly string[],
  mostTokens: number,
): number[] {
  if (texts.length === 1) return tokenizer.encode(texts[0]).slice(0, mostTokens);
  const parts: number[][] = [];
  let tokens = 0;
  for (const text of texts) {
    if (tokens >= mostTokens) break;
    const ids = tokenizer.encodePrompt(text);
    parts.push(ids);
    tokens += ids.length;
  }
  return parts.flat().slice(0, mostTokens);
}
