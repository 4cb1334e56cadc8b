/**
 * A kernel table that counts time: wraps another table and adds up milliseconds and calls by kernel name.
 *
 * Kernels are synchronous on every backend, so wall time around the call is the kernel's time. Two clock reads per call
 * (about 50 ns together) are nothing beside a training kernel, so the trainer leaves it on. Which kernels make up
 * which part of a step is the caller's business, but for selection, whose share training and inference both report.
 */

import type { Backend, Kernels } from '../backend.ts';
import type { KernelName } from './kernel-names.ts';
import { withKernels } from './with-kernels.ts';

export interface KernelTotal {
  ms: number;
  calls: number;
}

export interface KernelTimer {
  /** The wrapped table: same results, timed. */
  readonly kernels: Kernels;
  /** One entry for every kernel of the table, called or not. */
  readonly totals: ReadonlyMap<KernelName, KernelTotal>;
  /** Milliseconds in the named kernels since the last reset. */
  ms(names: readonly KernelName[]): number;
  /** Sets every total to 0. */
  reset(): void;
}

/** Wraps every function of a kernel table with a clock; an error of a kernel passes through, its time counted. */
export function timeKernels(kernels: Kernels): KernelTimer {
  const totals = new Map<KernelName, KernelTotal>();
  const timed: Record<string, unknown> = {};
  for (const name of Object.keys(kernels) as KernelName[]) {
    const total: KernelTotal = { ms: 0, calls: 0 };
    totals.set(name, total);
    timed[name] = timedCall(kernels[name] as (...args: unknown[]) => unknown, kernels, total);
  }
  return {
    kernels: timed as unknown as Kernels,
    totals,
    ms: (names) => names.reduce((sum, name) => sum + (totals.get(name)?.ms ?? 0), 0),
    reset() {
      for (const total of totals.values()) {
        total.ms = 0;
        total.calls = 0;
      }
    },
  };
}

/** The same backend over a timed kernel table; `backend` itself stays usable untimed. */
export function timeBackend(backend: Backend): { backend: Backend; timer: KernelTimer } {
  const timer = timeKernels(backend.kernels);
  return { backend: withKernels(backend, () => timer.kernels), timer };
}

function timedCall(kernel: (...args: unknown[]) => unknown, self: Kernels, total: KernelTotal) {
  return (...args: unknown[]): unknown => {
    const start = performance.now();
    try {
      return kernel.apply(self, args);
    } finally {
      total.ms += performance.now() - start;
      total.calls++;
    }
  };
}
