/**
 * CSV as RFC 4180 and Python's csv module read it: fields with commas, quotes (doubled) and line ends inside quotes; the first record has the
 * names. A quote inside of a field that does not begin with one is a character like any other.
 */

import { FormatError } from './errors.ts';

export interface CsvRecord {
  readonly row: Readonly<Record<string, string>>;
  /** Where it begins, from 1. */
  readonly line: number;
}

/** Rows by name. Throws FormatError as `csvRecords` does. */
export function parseCsv(text: string, path: string): CsvRecord[] {
  const [header, ...records] = csvRecords(text, path);
  return records.map(({ fields, line }) => ({
    row: Object.fromEntries(header.fields.map((name, i) => [name, fields[i]])),
    line,
  }));
}

export interface CsvFields {
  readonly fields: readonly string[];
  /** Where it begins, from 1. */
  readonly line: number;
}

/**
 * The names and then the records; empty lines are none. Throws FormatError for a quote that is not closed and a record with another number of
 * fields than the first.
 */
export function csvRecords(text: string, path: string): CsvFields[] {
  const records = recordsOf(text, path);
  const [header] = records;
  for (const { fields, line } of records) {
    if (fields.length === header.fields.length) continue;
    const what = `expected ${header.fields.length} fields as in its first record, got ${fields.length}`;
    throw new FormatError('csv', `${path}:${line}: ${what}. Is a quote or a comma missing?`, path);
  }
  return records;
}

interface Fields {
  fields: string[];
  line: number;
}

function recordsOf(text: string, path: string): Fields[] {
  const records: Fields[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const record: Fields = { fields: [], line };
    for (;;) {
      const field = fieldAt(text, at, () => `${path}:${record.line}`);
      record.fields.push(field.value);
      line += field.lineEnds;
      at = field.end;
      if (text[at] !== ',') break;
      at++;
    }
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    line++;
    if (record.fields.length > 1 || record.fields[0] !== '') records.push(record);
  }
  return records;
}

/** The field that begins at `at`, and where it ends: at a comma, a line end or the end of the text. */
function fieldAt(text: string, at: number, where: () => string): { value: string; end: number; lineEnds: number } {
  let value = '';
  let lineEnds = 0;
  let begin = at;
  if (text[at] === '"') {
    for (;;) {
      const close = text.indexOf('"', begin + 1);
      if (close < 0) throw new FormatError('csv', `${where()}: a quote is not closed. Is the file complete?`);
      const part = text.slice(begin + 1, close);
      value += part;
      lineEnds += part.split('\n').length - 1;
      begin = close + 1;
      if (text[begin] !== '"') break;
      value += '"';
    }
  }
  let end = begin; // what follows a closing quote belongs to the field, as in Python
  while (end < text.length && text[end] !== ',' && text[end] !== '\r' && text[end] !== '\n') end++;
  return { value: value + text.slice(begin, end), end, lineEnds };
}
