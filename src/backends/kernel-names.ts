/** The kernels by name, and those that only a sparse model runs. */

import type { Kernels } from '../backend.ts';

export type KernelName = keyof Kernels;

/** What a dense model would not run: choosing what stays, and listing natural zeros. */
export const SELECTION_KERNELS: readonly KernelName[] = [
  'selectTopK',
  'selectInput',
  'selectBlockTopK',
  'countNonZeros',
  'gatherNonZeros',
  'countOpenGates',
  'gatherOpenGates',
  'countPositiveAt',
  'gatherPositiveAt',
];
