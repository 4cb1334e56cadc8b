/** Reads the metrics of a run from its directory; what they mean is parse-metrics.ts. */

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { FormatError, messageOf } from '../util/errors.ts';
import { parseMetrics, type ReportRun } from './parse-metrics.ts';

/**
 * The run in a directory (its `metrics.jsonl`) or in a metrics file itself, named after the directory.
 * Throws FormatError where there is none, or where a line other than an unfinished last one is not a record.
 */
export async function readRun(path: string): Promise<ReportRun> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const file = isDirectory ? join(path, 'metrics.jsonl') : path;
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const advice = 'Give the directory that a training run wrote to.';
    throw new FormatError('metrics', `cannot read ${file}: ${messageOf(error)}. ${advice}`, file, { cause: error });
  });
  return { name: basename(resolve(isDirectory ? path : dirname(path))), records: parseMetrics(text, file) };
}
