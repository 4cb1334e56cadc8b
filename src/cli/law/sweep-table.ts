/**
 * The table that a sweep writes: one line a run, each line there whole or not at all.
 *
 * The file is replaced atomically with the new line at its end, so a kill at any moment leaves the runs before it. A row whose settings are
 * not those of the plan is refused, never overwritten: a table of two experiments would be fitted as one.
 */

import { existsSync } from 'node:fs';
import { writeFileAtomically } from '../../formats/atomic-write.ts';
import { csvField } from '../../util/csv-field.ts';
import { FormatError } from '../../util/errors.ts';
import { parseCsv } from '../../util/parse-csv.ts';
import { shown } from '../../util/problems.ts';
import { readText } from './read-text.ts';
import type { SweepRun } from './sweep-plan.ts';

export interface SweepRow {
  readonly run: string;
  readonly size: string;
  readonly format: string;
  readonly sparsity: number;
  readonly seed: number;
  readonly lr: number;
  /** N: parameters of the blocks. */
  readonly parameters: number;
  /** S as it was measured over the last steps. */
  readonly zeros: number;
  readonly tokens: number;
  /** Nats per token of the validation text, or of the documents that training held out; Infinity, as the next two, where training diverged. */
  readonly loss: number;
  readonly bitsPerByte: number;
  /** Mean of the last steps. */
  readonly trainingLoss: number;
  /** Of training alone. */
  readonly seconds: number;
  readonly peakBytes: number;
  readonly backend: string;
  readonly settings: string;
}

const COLUMNS: readonly (keyof SweepRow)[] = [
  ...(['run', 'size', 'format', 'sparsity', 'seed', 'lr', 'parameters', 'zeros', 'tokens', 'loss'] as const),
  ...(['bitsPerByte', 'trainingLoss', 'seconds', 'peakBytes', 'backend', 'settings'] as const),
];
const TEXTS: readonly string[] = ['run', 'size', 'format', 'backend', 'settings'];
/** Of a run that diverged `diverged` stands in their place: no number, so that no fit takes it for one. */
const LOSSES: readonly string[] = ['loss', 'bitsPerByte', 'trainingLoss'];
const DIVERGED = 'diverged';

export function hasDiverged({ loss }: SweepRow): boolean {
  return loss === Number.POSITIVE_INFINITY;
}

export class SweepTable {
  readonly path: string;
  readonly #rows: Map<string, SweepRow>;

  /** Reads what is there already. Throws FormatError where it is no table of a sweep. */
  constructor(path: string) {
    this.path = path;
    this.#rows = new Map(existsSync(path) ? readRows(path).map((row) => [row.run, row]) : []);
  }

  get rows(): SweepRow[] {
    return [...this.#rows.values()];
  }

  /** The row of a run. Throws FormatError where it was trained with other settings. */
  find({ name, settings }: SweepRun): SweepRow | undefined {
    const row = this.#rows.get(name);
    if (row === undefined || row.settings === settings) return row;
    const message = `${name} was trained with settings ${row.settings}, the plan says ${settings}.`;
    throw new FormatError('sweep', `${this.path}: ${message} Use another --out, or the old plan.`, this.path);
  }

  add(row: SweepRow): void {
    this.#rows.set(row.run, row);
    const lines = this.rows.map((one) => COLUMNS.map((name) => csvField(cellOf(one, name))).join(','));
    writeFileAtomically(this.path, `${COLUMNS.join(',')}\n${lines.map((line) => `${line}\n`).join('')}`);
  }
}

function cellOf(row: SweepRow, name: keyof SweepRow): string | number {
  return LOSSES.includes(name) && hasDiverged(row) ? DIVERGED : row[name];
}

function readRows(path: string): SweepRow[] {
  const records = parseCsv(readText(path), path);
  return records.map(({ row, line }) => {
    const values = COLUMNS.map((name) => {
      const text = row[name];
      if (text === undefined) {
        const message = `${path}: expected the columns of a sweep, got none named "${name}". Use another --out.`;
        throw new FormatError('sweep', message, path);
      }
      if (TEXTS.includes(name)) return [name, text] as const;
      if (LOSSES.includes(name) && text === DIVERGED) return [name, Number.POSITIVE_INFINITY] as const;
      const value = text.trim() === '' ? Number.NaN : Number(text);
      if (Number.isFinite(value)) return [name, value] as const;
      throw new FormatError('sweep', `${path}: line ${line}, "${name}": expected a number, got ${shown(text)}.`, path);
    });
    return Object.fromEntries(values) as unknown as SweepRow;
  });
}
