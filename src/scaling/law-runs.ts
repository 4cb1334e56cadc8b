/**
 * The table of runs that a law is fitted to: one line a run, read from CSV, every number checked.
 *
 * Needed are `parameters` (N, of the blocks), `sparsity` (S) and `loss`; `format` (one law is fitted for each), `tokens` (D), `seed` and
 * `zeros` (S as it was measured) may stand beside them, and any other column.
 */

import { FormatError, nearestName } from '../util/errors.ts';
import { type CsvFields, csvRecords } from '../util/parse-csv.ts';
import { shown } from '../util/problems.ts';
import type { LawPoint } from './law-form.ts';

export interface LawRun extends LawPoint {
  /** Of the weights in training; `float` where the table does not say. */
  readonly format: string;
  /** The share that was asked for, where `sparsity` is the measured one: by it repeated runs are known. */
  readonly asked?: number;
}

/** Constants are of N and D in millions: numbers that can be read. */
export const SIZE_UNIT = 1e6;

export type SparsityColumn = 'sparsity' | 'zeros';

const MAX_SPARSITY = 0.99;

interface Range {
  readonly text: string;
  readonly fits: (value: number) => boolean;
}

const POSITIVE: Range = { text: 'a number above 0', fits: (value) => value > 0 };
const SHARE: Range = {
  text: `a share from 0 to ${MAX_SPARSITY}`,
  fits: (value) => value >= 0 && value <= MAX_SPARSITY,
};

/** N and D in units of SIZE_UNIT. Throws FormatError that names line, column, what is expected and what was found. */
export function readLawRuns(text: string, path: string, sparsityColumn: SparsityColumn = 'sparsity'): LawRun[] {
  const [header, ...rows] = csvRecords(text.replace(/^\uFEFF/, ''), path);
  if (header === undefined) throw problem(path, 'expected a line with the names of the columns, got an empty file.');
  const names = header.fields.map((name) => name.trim());
  const column = (name: string) => columnOf(names, name, header.line, path);
  const needed = (name: string) => {
    if (column(name) >= 0) return column(name);
    const near = nearestName(name, names);
    throw problem(
      path,
      `expected a column "${name}", got ${shownNames(names)}.${near ? ` Is it ${shown(near)}?` : ''}`,
    );
  };
  const [size, sparsity, loss] = [needed('parameters'), needed(sparsityColumn), needed('loss')];
  const [format, tokens] = [column('format'), column('tokens')];
  const asked = sparsityColumn === 'sparsity' ? -1 : column('sparsity');
  const number = (row: CsvFields, at: number, range: Range) => numberAt(row, at, range, names, path);
  if (rows.length === 0) throw problem(path, 'expected a line for each run, got none.');
  return rows.map((row) => ({
    size: number(row, size, POSITIVE) / SIZE_UNIT,
    sparsity: number(row, sparsity, SHARE),
    loss: number(row, loss, POSITIVE),
    format: format < 0 ? 'float' : formatAt(row, format, path),
    ...(tokens >= 0 && { tokens: number(row, tokens, POSITIVE) / SIZE_UNIT }),
    ...(asked >= 0 && { asked: number(row, asked, SHARE) }),
  }));
}

function numberAt(
  { line, fields }: CsvFields,
  at: number,
  range: Range,
  names: readonly string[],
  path: string,
): number {
  const text = fields[at].trim();
  // Number() alone would take '', '0x10' and 'Infinity'.
  const value = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(value) && range.fits(value)) return value;
  const where = `line ${line}, column ${at + 1} ("${names[at]}")`;
  throw problem(path, `${where}: expected ${range.text}, got ${shown(fields[at])}.`);
}

const FORMAT_NAME = /^[a-z0-9][a-z0-9._-]{0,39}$/i;

function formatAt({ line, fields }: CsvFields, at: number, path: string): string {
  const format = fields[at].trim();
  if (FORMAT_NAME.test(format)) return format;
  const where = `line ${line}, column ${at + 1} ("format")`;
  throw problem(path, `${where}: expected a name such as float, got ${shown(fields[at])}.`);
}

/** -1 where there is none. A name that stands twice leaves open which column is meant. */
function columnOf(names: readonly string[], name: string, line: number, path: string): number {
  const at = names.indexOf(name);
  if (names.lastIndexOf(name) === at) return at;
  throw problem(path, `line ${line}: expected one column "${name}", got several.`);
}

function problem(path: string, message: string): FormatError {
  return new FormatError('runs', `${path}: ${message}`, path);
}

function shownNames(names: readonly string[]): string {
  const listed = names.slice(0, 12).map(shown).join(', ');
  return names.length > 12 ? `${listed} and ${names.length - 12} more` : listed;
}
