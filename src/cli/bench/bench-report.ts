/**
 * What every bench ends with: a table for people, and `{ machine, commit, rows }` for `--json` and `--out`.
 *
 * A number without its machine and its code means nothing, so both are in every file.
 */

import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { FormatError, messageOf, UsageError } from '../../util/errors.ts';
import { describeMachine, type Machine, machineText } from '../shared/machine.ts';
import type { Output } from '../shared/output.ts';
import type { Column, TableRow } from '../shared/table.ts';
import { currentCommit } from './current-commit.ts';

export interface BenchReport<Row> {
  bench: string;
  machine: Machine & { backend: string; threads: number };
  /** Of the repository, `-dirty` with changes on top (of other files than results); the version where it is an installed package. */
  commit: string;
  /** The most memory that this process held, the program itself and all variants included. */
  peakProcessBytes: number;
  rows: Row[];
}

/** Before minutes are spent on measuring: `--out` is a place that can be written, and may only replace an earlier result. Throws UsageError. */
export function checkResultPath(out: string): void {
  try {
    accessSync(existsSync(out) ? out : dirname(out), constants.W_OK);
  } catch (error) {
    throw new UsageError('--out', `${out} cannot be written: ${messageOf(error)}. Choose another, or make its folder.`);
  }
  if (!existsSync(out)) return;
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(out, 'utf8'));
  } catch {
    found = null;
  }
  if (typeof (found as BenchReport<unknown> | null)?.bench === 'string') return;
  throw new UsageError(
    '--out',
    `${out} exists and is no result of qsparse bench; nothing was written. Choose another.`,
  );
}

/** Prints the rows, writes them to `out` if given. Throws FormatError where that fails. */
export function reportRows<Row extends TableRow>(
  bench: string,
  rows: Row[],
  options: {
    output: Output;
    columns: readonly Column[];
    backend: { description: string; threads: number };
    out?: string | undefined;
  },
): void {
  const { output, columns, backend, out } = options;
  const machine = { ...describeMachine(), backend: backend.description, threads: backend.threads };
  // maxRSS is in KiB on every platform that Node runs on.
  const peakProcessBytes = process.resourceUsage().maxRSS * 1024;
  const report: BenchReport<Row> = { bench, machine, commit: currentCommit(), peakProcessBytes, rows };
  output.table(rows, { columns });
  output.line(`\n${machineText(machine)}; ${machine.backend}`);
  output.json(report);
  if (out !== undefined) {
    try {
      writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
    } catch (error) {
      throw new FormatError('bench', `cannot write ${out}: ${messageOf(error)}.`, out, { cause: error });
    }
    output.line(`written to ${out}`);
  }
}
