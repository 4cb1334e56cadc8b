/**
 * parseMetrics: the text of a `metrics.jsonl` as the story of the run that exists; in a page too.
 *
 * A run may have been killed in the middle of a line and resumed from an earlier step: what was written beyond the
 * step that it resumed from never happened to the weights, so a later record takes the place of an earlier one.
 * Unknown types and fields are ignored, as metrics.ts asks of its readers.
 */

import type { MetricsRecord } from '../train/metrics.ts';
import { FormatError, messageOf } from '../util/errors.ts';

/** One run of a report. */
export interface ReportRun {
  name: string;
  records: readonly MetricsRecord[];
}

/** What a record is placed by; without these numbers it cannot be read at all. */
const REQUIRED_NUMBERS: Readonly<Record<MetricsRecord['type'], readonly string[]>> = {
  run: ['step'],
  step: ['step', 'tokens', 'seconds'],
  detail: ['step'],
  validation: ['step', 'tokens', 'seconds'],
  sample: ['step'],
};

/** The records of the text of a metrics file, those that a resumed part replaced left out; `path` is for messages. */
export function parseMetrics(text: string, path: string): MetricsRecord[] {
  const lines = text.split('\n');
  const records = new Map<string, MetricsRecord>();
  lines.forEach((line, i) => {
    if (line.trim() === '') return;
    // Only a line without its line end can be one that was cut off while it was written.
    const record = parseLine(line, i === lines.length - 1, `${path}:${i + 1}`, path);
    if (record === undefined) return;
    if (record.type === 'run') forgetAfter(records, record.step);
    records.set(keyOf(record), record);
  });
  return [...records.values()];
}

function parseLine(line: string, mayBeCut: boolean, place: string, path: string): MetricsRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (mayBeCut) return undefined;
    throw new FormatError('metrics', `${place} is not JSON: ${messageOf(error)}.`, path, { cause: error });
  }
  const record = value as Record<string, unknown> | null;
  if (typeof record !== 'object' || typeof record?.type !== 'string') {
    throw new FormatError('metrics', `${place} is not a record: expected an object with a type.`, path);
  }
  if (!Object.hasOwn(REQUIRED_NUMBERS, record.type)) return undefined;
  for (const field of REQUIRED_NUMBERS[record.type as MetricsRecord['type']]) {
    if (typeof record[field] === 'number') continue;
    throw new FormatError(
      'metrics',
      `${place}: ${field} must be a number, got ${JSON.stringify(record[field])}.`,
      path,
    );
  }
  return value as MetricsRecord;
}

/** What a resumed part did again: everything behind the step that it began at. */
function forgetAfter(records: Map<string, MetricsRecord>, step: number): void {
  for (const [key, record] of records) {
    if (record.type !== 'run' && record.step > step) records.delete(key);
  }
}

function keyOf(record: MetricsRecord): string {
  return `${record.type} ${record.step}${record.type === 'sample' ? ` ${record.prompt}` : ''}`;
}
