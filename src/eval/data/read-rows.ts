/**
 * Rows of a data set from a local file: JSON Lines, a JSON list, CSV, Parquet, or text of which so many lines make a row. The ending of its
 * name says which.
 *
 * A row is an object of JSON values, with the name of its file beside its own fields (`file`, without ending), because some data sets say
 * there what a row is about. A file is read whole: the sets of evaluations are megabytes.
 */

import { readFileSync, statSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { FormatError, messageOf } from '../../util/errors.ts';
import { isObject } from '../../util/is-object.ts';
import { parseCsv } from '../../util/parse-csv.ts';
import type { SourceRow } from '../task-items.ts';

/** What a file of text may have; what is unpacked of Parquet may be several times as much. */
const MOST_BYTES = 2 ** 28;

export const DATA_ENDINGS: readonly string[] = ['.jsonl', '.json', '.csv', '.parquet', '.txt'];

/** `linesPerRow` for .txt. Throws FormatError that names file and line. */
export async function readRows(path: string, linesPerRow: number | null = null): Promise<SourceRow[]> {
  const ending = extname(path);
  const file = basename(path, ending);
  checkSize(path);
  const rows = ending === '.parquet' ? await parquetRows(path) : textRows(path, ending, linesPerRow);
  return rows.map(({ row, where }) => ({ row: { file, ...row }, where }));
}

function textRows(path: string, ending: string, linesPerRow: number | null): SourceRow[] {
  const text = readText(path);
  if (ending === '.jsonl') return jsonLines(text, path);
  if (ending === '.json') return jsonList(text, path);
  if (ending === '.csv') return parseCsv(text, path).map(({ row, line }) => ({ row, where: `${path}:${line}` }));
  if (ending === '.txt' && linesPerRow !== null) return lineGroups(text, path, linesPerRow);
  const why = ending === '.txt' ? 'this task says nothing about .txt files' : `got ${ending || 'no ending'}`;
  fail(path, `expected a file ending in ${DATA_ENDINGS.join(', ')}; ${why}. Unpack archives first.`);
}

function jsonLines(text: string, path: string): SourceRow[] {
  return text.split('\n').flatMap((line, i) => {
    const where = `${path}:${i + 1}`;
    return line.trim() === '' ? [] : [{ row: objectOf(parseJson(line, where), where), where }];
  });
}

function jsonList(text: string, path: string): SourceRow[] {
  const list = parseJson(text, path);
  if (!Array.isArray(list)) fail(path, 'expected a list of objects. JSON Lines end in .jsonl.');
  return list.map((row, i) => ({ row: objectOf(row, `${path}[${i}]`), where: `${path}[${i}]` }));
}

function lineGroups(text: string, path: string, size: number): SourceRow[] {
  const lines = text.replace(/\n$/, '').split('\n');
  if (lines.length % size !== 0)
    fail(path, `expected ${size} lines for each row, got ${lines.length} lines. Is it complete?`);
  return Array.from({ length: lines.length / size }, (_, i) => ({
    row: { lines: lines.slice(i * size, (i + 1) * size) },
    where: `${path}:${i * size + 1}`,
  }));
}

async function parquetRows(path: string): Promise<SourceRow[]> {
  try {
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path), compressors });
    return rows.map((row, i) => ({ row: plain(row) as Record<string, unknown>, where: `${path} row ${i + 1}` }));
  } catch (error) {
    throw new FormatError('data', `${path} is no Parquet file that can be read: ${messageOf(error)}.`, path, {
      cause: error,
    });
  }
}

/** As JSON would hold it: integers of 64 bits as numbers, typed arrays as lists, times as text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

function checkSize(path: string): void {
  let bytes: number;
  try {
    bytes = statSync(path).size;
  } catch (error) {
    fail(path, `cannot be read: ${messageOf(error)}.`);
  }
  if (bytes > MOST_BYTES) fail(path, `is too large: expected at most ${MOST_BYTES} bytes, got ${bytes}. Divide it.`);
}

function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)); // drops a byte order mark
  } catch (error) {
    fail(path, `is no text in UTF-8: ${messageOf(error)}.`);
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    fail(where, `is no JSON: ${messageOf(error)}.`);
  }
}

function objectOf(value: unknown, where: string): Record<string, unknown> {
  if (isObject(value)) return value;
  fail(where, `expected an object with the fields of a row, got ${JSON.stringify(value).slice(0, 40)}.`);
}

function fail(where: string, message: string): never {
  throw new FormatError('data', `${where}: ${message}`, where);
}
