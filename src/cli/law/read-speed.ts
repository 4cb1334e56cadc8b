/**
 * Times of a token by weight format, size and sparsity, from what `qsparse bench decode --json` or `--out` wrote, or from a result file of
 * the speed study, which holds several such benches as `cases`.
 */

import { blockParameters } from '../../model/flops.ts';
import { PRESETS, preset } from '../../model/presets.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import { SpeedCurve, type SpeedPoint } from '../../scaling/speed-curve.ts';
import { WEIGHT_TYPES, type WeightType } from '../../tensor/weight-matrix.ts';
import { FormatError, messageOf } from '../../util/errors.ts';
import { shown } from '../../util/problems.ts';
import { readText } from './read-text.ts';

export interface MeasuredSpeed {
  readonly curves: ReadonlyMap<WeightType, SpeedCurve>;
  /** The machine of the measurements, as the file says. */
  readonly machine: string;
}

interface Row {
  readonly shape?: unknown;
  readonly dtype?: unknown;
  readonly zeros?: unknown;
  readonly batch?: unknown;
  readonly closedGates?: unknown;
  readonly msPerToken?: unknown;
}

/** Throws FormatError where the file holds no times of single tokens of a known shape. */
export function readSpeed(path: string): MeasuredSpeed {
  const file = parse(path);
  const parts = Array.isArray(file.cases) ? (file.cases as Record<string, unknown>[]) : [file];
  const rows = parts.flatMap((part) => (Array.isArray(part?.rows) ? (part.rows as Row[]) : []));
  // A batch shares its weights, closed gates skip more than S says: neither is what a plan asks about.
  const fitting = rows.filter((row) => row?.batch === 1 && (row.closedGates ?? null) === null);
  const curves = new Map<WeightType, SpeedCurve>();
  for (const dtype of WEIGHT_TYPES) {
    const points = fitting.filter((row) => row.dtype === dtype).flatMap((row) => pointOf(row, path) ?? []);
    if (points.length > 0) curves.set(dtype, new SpeedCurve(points));
  }
  if (curves.size === 0) {
    const message = `expected rows of bench decode with a preset as shape and batch 1, got ${rows.length} rows of which none is one.`;
    throw problem(path, `${message} Measure: qsparse bench decode --shape q300m --sparsity 0,0.4,0.6 --out ${path}`);
  }
  return { curves, machine: machineOf(parts[0]?.machine) };
}

/** undefined for the shape of a run: its size is not in the file. */
function pointOf({ shape, zeros, msPerToken }: Row, path: string): SpeedPoint | undefined {
  if (typeof shape !== 'string' || !Object.hasOwn(PRESETS, shape)) return undefined;
  const isShare = typeof zeros === 'number' && zeros >= 0 && zeros < 1;
  if (!isShare) throw problem(path, `zeros of ${shape}: expected a share in [0, 1), got ${shown(zeros)}.`);
  if (!(typeof msPerToken === 'number' && Number.isFinite(msPerToken) && msPerToken > 0)) {
    throw problem(path, `msPerToken of ${shape}: expected a number above 0, got ${shown(msPerToken)}.`);
  }
  return { size: blockParameters(resolveConfig(preset(shape))), sparsity: zeros, msPerToken };
}

function machineOf(machine: unknown): string {
  const { cpu, threads } = (typeof machine === 'object' && machine !== null ? machine : {}) as Record<string, unknown>;
  return typeof cpu === 'string' ? `${cpu}, ${Number(threads)} threads` : 'a machine that the file does not name';
}

function parse(path: string): Record<string, unknown> {
  const text = readText(path);
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw problem(path, `is no JSON: ${messageOf(error)}.`);
  }
  throw problem(path, 'expected an object, got another value.');
}

function problem(path: string, message: string): FormatError {
  return new FormatError('speed', `${path}: ${message}`, path);
}
