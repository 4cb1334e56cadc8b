/**
 * Shape, dtype and capacity checks around the kernel table of any backend: a wrong call is a ShapeError that names the op,
 * never a wrong number or a write outside of memory.
 *
 * Always on: a call costs a few comparisons, none of them per element (ids and targets are looked at, one per token).
 * What the values are is the business of `scan-kernels.ts`, in debug mode. Inside a kernel, shapes are trusted.
 */

import type { Kernels } from '../backend.ts';
import { checkAttention } from './checks/check-attention.ts';
import { checkElementwise } from './checks/check-elementwise.ts';
import { checkFeedForward } from './checks/check-feed-forward.ts';
import { checkMixture } from './checks/check-mixture.ts';
import { checkNormAndPosition } from './checks/check-norm-and-position.ts';
import { checkProducts } from './checks/check-products.ts';
import { checkQuantizers } from './checks/check-quantizers.ts';
import { checkRows } from './checks/check-rows.ts';
import { checkSelection } from './checks/check-selection.ts';
import { checkTraining } from './checks/check-training.ts';
import { checkWeights } from './checks/check-weights.ts';
import { scanKernels } from './scan-kernels.ts';

export interface CheckOptions {
  /** Look at every input of the selection and of the products too, and throw at the first NaN. */
  debug?: boolean;
}

/**
 * The same kernels behind checks. A kernel throws ShapeError for shapes, dtypes, capacities or ids that do not fit together,
 * BackendError for f64 tensors in the memory of a C backend and, with `debug`, for NaN (see `scanKernels`).
 */
export function checkKernels(kernels: Kernels, options: CheckOptions = {}): Kernels {
  const inner = options.debug ? scanKernels(kernels) : kernels;
  return {
    ...checkProducts(inner),
    ...checkWeights(inner),
    ...checkQuantizers(inner),
    ...checkSelection(inner),
    ...checkRows(inner),
    ...checkNormAndPosition(inner),
    ...checkAttention(inner),
    ...checkFeedForward(inner),
    ...checkMixture(inner),
    ...checkTraining(inner),
    ...checkElementwise(inner),
  };
}
