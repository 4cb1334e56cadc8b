/** The table of `bench decode|batch|prefill`. */

import { formatBytes, formatPercent } from '../../util/format.ts';
import type { Column } from '../shared/table.ts';

const percent = (share: number): string => formatPercent(share);

export const INFERENCE_COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'dtype' },
  { key: 'batch' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'zeros', format: percent },
  { key: 'msPerToken', title: 'ms/token' },
  { key: 'tokensPerSecond', title: 'tokens/s' },
  { key: 'speedupOverDense', title: 'x dense' },
  { key: 'bytesPerToken', title: 'read/token', format: formatBytes },
  { key: 'gbPerSecond', title: 'GB/s' },
  { key: 'selectShare', title: 'select', format: percent },
  { key: 'peakBytes', title: 'memory', format: formatBytes },
  { key: 'spread', format: percent },
];
