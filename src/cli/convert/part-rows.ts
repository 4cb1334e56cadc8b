/** The table that `convert` ends with: what each kind of matrix takes and how far it is from the f32 numbers, all layers and experts together. */

import type { PackedMatrixReport, PackReport } from '../../model/write-packed-model.ts';
import { formatBytes, formatCount, formatNumber, formatPercent } from '../../util/format.ts';
import type { Column } from '../shared/table.ts';

export interface PartRow extends Record<string, unknown> {
  part: string;
  dtype: string;
  weights: number;
  bytes: number;
  bitsPerWeight: number;
  /** Of all weights of the part: the largest |w - packed w|, and the matrix where it is. */
  largestError: number;
  worst: string;
  /** The largest of its matrices: root of the mean square of the error over that of the weights. */
  relativeError: number;
}

export const PART_COLUMNS: readonly Column[] = [
  { key: 'part' },
  { key: 'dtype' },
  { key: 'weights', format: formatCount },
  { key: 'bytes', title: 'size', format: formatBytes },
  { key: 'bitsPerWeight', title: 'bits/weight', format: (bits: number) => bits.toFixed(2) },
  { key: 'largestError', title: 'largest error', format: (error: number) => formatNumber(error) },
  { key: 'worst', title: 'in' },
  { key: 'relativeError', title: 'error, RMS', format: (share: number) => formatPercent(share, 2) },
];

/** One row for each kind of matrix, for what stays f32, and for the whole file. */
export function partRows({ matrices, unpackedBytes, fileBytes }: PackReport): PartRow[] {
  const parts = new Map<string, PackedMatrixReport[]>();
  for (const matrix of matrices) {
    const part = matrix.name.replace(/^layers\.\d+\.(experts\.\d+\.)?/, '');
    parts.set(part, [...(parts.get(part) ?? []), matrix]);
  }
  const isMixture = matrices.some(({ name }) => name.includes('.experts.'));
  const rows = [...parts].map(([part, members]) => rowOf(part, members));
  const part = isMixture ? 'norms, routers' : 'norms';
  const unpacked = { part, dtype: 'f32', weights: unpackedBytes / 4, bytes: unpackedBytes, bitsPerWeight: 32 };
  const whole = rowOf('all', matrices);
  const weights = whole.weights + unpacked.weights;
  return [
    ...rows,
    { ...unpacked, largestError: 0, worst: '', relativeError: 0 },
    { ...whole, dtype: '', weights, bytes: fileBytes, bitsPerWeight: (8 * fileBytes) / weights },
  ];
}

function rowOf(part: string, members: readonly PackedMatrixReport[]): PartRow {
  const sum = (of: (matrix: PackedMatrixReport) => number) => members.reduce((total, matrix) => total + of(matrix), 0);
  const [weights, bytes] = [sum((matrix) => matrix.weights), sum((matrix) => matrix.bytes)];
  const worst = members.reduce((a, b) => (b.largestError > a.largestError ? b : a));
  return {
    part,
    dtype: [...new Set(members.map(({ dtype }) => dtype))].join(', '),
    weights,
    bytes,
    bitsPerWeight: (8 * bytes) / weights,
    largestError: worst.largestError,
    worst: worst.largestError > 0 ? worst.name : '',
    relativeError: Math.max(...members.map(({ relativeError }) => relativeError)),
  };
}
