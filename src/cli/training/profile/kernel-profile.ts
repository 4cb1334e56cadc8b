/**
 * Where the time of training steps goes: calls, time and work by kernel and use, and what is left outside of kernels.
 */

import type { KernelWork } from '../../../backends/kernel-work.ts';
import type { Peaks } from '../../shared/measure-peaks.ts';

/** One kernel in one use (or `allocate`, `free`: the pool asks the backend), means over the steps; rates are of the time in the kernel. */
export interface KernelRow {
  kernel: string;
  /** See `useOf`; '' where the kernel has one use. */
  use: string;
  callsPerStep: number;
  msPerStep: number;
  /** Of the step. */
  share: number;
  /** 1e9 operations per second really done, and as if no zero had been skipped; null for kernels without products. */
  gflops: number | null;
  gflopsDenseEquivalent: number | null;
  /** 1e9 bytes of operands per second; above the memory's peak where they lie in a cache. null: nothing is read. */
  gbPerSecond: number | null;
  /** Shares of the measured peaks; null where none were measured. */
  shareOfPeakGflops: number | null;
  shareOfPeakGbPerSecond: number | null;
}

export interface KernelTable {
  steps: number;
  msPerStep: number;
  /** The slowest first. */
  kernels: KernelRow[];
  /** JavaScript: ops, batches, statistics, records, garbage collection. With it the shares add up to 1. */
  outsideOfKernels: { msPerStep: number; share: number };
}

interface Total {
  readonly kernel: string;
  readonly use: string;
  calls: number;
  ms: number;
  flops: number;
  denseFlops: number;
  bytes: number;
}

export class KernelProfile {
  readonly #totals = new Map<string, Total>();
  #steps = 0;
  #stepMs = 0;

  addCall(kernel: string, use: string, ms: number, work: KernelWork): void {
    const key = `${kernel} ${use}`;
    const total = this.#totals.get(key) ?? { kernel, use, calls: 0, ms: 0, flops: 0, denseFlops: 0, bytes: 0 };
    total.calls++;
    total.ms += ms;
    total.flops += work.flops;
    total.denseFlops += work.denseFlops;
    total.bytes += work.bytes;
    this.#totals.set(key, total);
  }

  /** The steps whose calls were added. */
  addStep(ms: number): void {
    this.#steps++;
    this.#stepMs += ms;
  }

  /** null where no step was added. */
  table(peaks: Peaks | null): KernelTable | null {
    if (this.#steps === 0) return null;
    const totals = [...this.#totals.values()].sort((a, b) => b.ms - a.ms);
    const outsideMs = this.#stepMs - totals.reduce((sum, { ms }) => sum + ms, 0);
    return {
      steps: this.#steps,
      msPerStep: this.#stepMs / this.#steps,
      kernels: totals.map((total) => this.#row(total, peaks)),
      outsideOfKernels: { msPerStep: outsideMs / this.#steps, share: outsideMs / this.#stepMs },
    };
  }

  #row({ kernel, use, calls, ms, flops, denseFlops, bytes }: Total, peaks: Peaks | null): KernelRow {
    // 1e9 a second is 1e6 a millisecond. A clock that did not move gives no rate.
    const rate = (amount: number): number => (ms > 0 ? amount / ms / 1e6 : 0);
    return {
      kernel,
      use,
      callsPerStep: calls / this.#steps,
      msPerStep: ms / this.#steps,
      share: ms / this.#stepMs,
      gflops: denseFlops > 0 ? rate(flops) : null,
      gflopsDenseEquivalent: denseFlops > 0 ? rate(denseFlops) : null,
      gbPerSecond: bytes > 0 ? rate(bytes) : null,
      shareOfPeakGflops: peaks && denseFlops > 0 ? rate(flops) / peaks.gflops : null,
      shareOfPeakGbPerSecond: peaks && bytes > 0 ? rate(bytes) / peaks.gbPerSecond : null,
    };
  }
}
