/** A kernel table that reports every call: wraps another table and tells `onCall` what ran, on what, from when to when. */

import type { Kernels } from '../backend.ts';
import type { KernelName } from './kernel-names.ts';

export interface KernelCall {
  readonly kernel: KernelName;
  /** As after the call: lists that the kernel wrote are filled. */
  readonly args: readonly unknown[];
  /** Of `performance.now`. */
  readonly startMs: number;
  readonly endMs: number;
}

/** A call that throws is not reported. */
export function observeKernels(kernels: Kernels, onCall: (call: KernelCall) => void): Kernels {
  const observed: Record<string, unknown> = {};
  for (const kernel of Object.keys(kernels) as KernelName[]) {
    const run = kernels[kernel] as (...args: unknown[]) => void;
    observed[kernel] = (...args: unknown[]): void => {
      const startMs = performance.now();
      run.apply(kernels, args);
      onCall({ kernel, args, startMs, endMs: performance.now() });
    };
  }
  return observed as unknown as Kernels;
}
