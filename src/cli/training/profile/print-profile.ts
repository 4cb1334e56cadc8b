/** The tables of `--profile` for people, made for 80 columns; programs read the same from `--json`. */

import { formatBytes, formatInteger, formatNumber, formatPercent } from '../../../util/format.ts';
import type { Peaks } from '../../shared/measure-peaks.ts';
import type { Output } from '../../shared/output.ts';
import type { Column } from '../../shared/table.ts';
import type { BufferTable } from './buffer-plan.ts';
import type { KernelRow, KernelTable } from './kernel-profile.ts';

/** Rows of less are added up to one: together they are a few lines of JavaScript. */
const SHOWN_SHARE = 0.001;

const KERNEL_COLUMNS: readonly Column[] = [
  { key: 'kernel', align: 'left' },
  { key: 'use', align: 'left' },
  { key: 'calls', align: 'right', format: narrow },
  { key: 'ms', align: 'right', format: narrow },
  { key: 'share', align: 'right', format: (share: number) => formatPercent(share) },
  { key: 'done', align: 'right', format: narrow },
  { key: 'dense', align: 'right', format: narrow },
  { key: 'gb', title: 'GB/s', align: 'right', format: narrow },
  { key: 'peak', align: 'right', format: (share: number) => formatPercent(share, 0) },
];

const BUFFER_COLUMNS: readonly Column[] = [
  { key: 'holder', title: 'held by', align: 'left' },
  { key: 'bytes', title: 'memory', align: 'right', format: formatBytes },
  { key: 'share', align: 'right', format: (share: number) => formatPercent(share) },
];

export function printKernels(output: Output, table: KernelTable, peaks: Peaks | null, backend: string): void {
  const { steps, msPerStep, outsideOfKernels } = table;
  const shown = table.kernels.filter(({ share }) => share >= SHOWN_SHARE);
  const small = table.kernels.filter(({ share }) => share < SHOWN_SHARE);
  output.heading(`Kernels: one step of ${formatNumber(msPerStep)} ms, mean of ${steps}`);
  const rows = [
    ...shown.map(kernelRow),
    ...(small.length > 0 ? [sumRow(small)] : []),
    { kernel: 'outside of kernels', ms: outsideOfKernels.msPerStep, share: outsideOfKernels.share },
  ];
  output.table(rows, { columns: KERNEL_COLUMNS });
  if (peaks) {
    const limits = `${formatNumber(peaks.gflops)} GFLOP/s and ${formatNumber(peaks.gbPerSecond)} GB/s`;
    output.line(`Peaks of ${backend}: ${limits}, measured before.`);
  }
  output.line('Y = X W, dX, dW: the products of a projection. done, dense: GFLOP/s really done,');
  output.line('and as if no zero were skipped. GB/s: every operand once; above the peak where');
  output.line('it lies in a cache. peak: the larger of the shares of both peaks.');
}

export function printBuffers(output: Output, { peakBytes, at, holders }: BufferTable): void {
  output.heading(`Buffers: ${formatBytes(peakBytes)} at most, held at`);
  output.line(at);
  output.table(
    holders.map((row) => ({ ...row })),
    { columns: BUFFER_COLUMNS },
  );
  output.line('kept: what an op keeps for its backward, all layers.');
}

function kernelRow(row: KernelRow) {
  const { shareOfPeakGflops, shareOfPeakGbPerSecond } = row;
  return {
    kernel: row.kernel,
    use: row.use,
    calls: row.callsPerStep,
    ms: row.msPerStep,
    share: row.share,
    done: row.gflops,
    dense: row.gflopsDenseEquivalent,
    gb: row.gbPerSecond,
    peak: shareOfPeakGbPerSecond === null ? null : Math.max(shareOfPeakGflops ?? 0, shareOfPeakGbPerSecond),
  };
}

/** Three digits in at most five columns: `4`, `0.06`, `1.54`, `53.1`, `119`, `1,234`. */
function narrow(value: number): string {
  if (Number.isInteger(value)) return formatInteger(value);
  const decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return decimals === 0 ? formatInteger(value) : value.toFixed(decimals);
}

function sumRow(rows: readonly KernelRow[]) {
  const sum = (of: (row: KernelRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    kernel: `${rows.length} more`,
    calls: sum(({ callsPerStep }) => callsPerStep),
    ms: sum(({ msPerStep }) => msPerStep),
    share: sum(({ share }) => share),
  };
}
