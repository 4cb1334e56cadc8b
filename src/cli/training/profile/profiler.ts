/**
 * The observer of `qsparse train --profile` and `--trace`: puts kernel calls and sections together, for the tables and the
 * trace.
 *
 * What the pool asks of the backend's memory is a row of the table too: it happens where lists outgrow the blocks of earlier
 * steps. The first steps warm up (memory from the system, code not yet compiled) and count for the buffers only. What is outside of a
 * step (validation, samples) is not looked at. A call costs two clock reads and some microseconds, outside of the kernel's
 * own time.
 */

import type { Holding, Observer, Section } from '../../../autograd/observer.ts';
import type { Backend } from '../../../backend.ts';
import { type KernelWork, kernelWork } from '../../../backends/kernel-work.ts';
import { type KernelCall, observeKernels } from '../../../backends/observe-kernels.ts';
import { withKernels } from '../../../backends/with-kernels.ts';
import { nonZeros, type SparseRows } from '../../../tensor/sparse-rows.ts';
import { shapeText, type Tensor } from '../../../tensor/tensor.ts';
import { BufferPlan } from './buffer-plan.ts';
import { KernelProfile } from './kernel-profile.ts';
import { useOf } from './section-names.ts';
import { Trace } from './trace.ts';

/** Steps of this process before the first that counts. */
export const WARMUP_STEPS = 2;
/** Steps in a trace: enough to tell the rule from the exception, few enough for a file that opens at once. */
export const TRACED_STEPS = 3;

interface OpenSection {
  readonly section: Section;
  readonly startMs: number;
  /** Its event, null where it is not traced. */
  readonly event: number | null;
}

export class Profiler implements Observer {
  readonly kernels = new KernelProfile();
  readonly buffers = new BufferPlan();
  readonly trace = new Trace();
  readonly #onTraced: () => void;
  readonly #open: OpenSection[] = [];
  #steps = 0;

  /** `onTraced` is called once, when the trace has all its steps. */
  constructor(onTraced: () => void = () => {}) {
    this.#onTraced = onTraced;
  }

  /** The backend to train on. */
  observe(backend: Backend): Backend {
    const kernels = observeKernels(backend.kernels, (call) => this.#called(call));
    return {
      ...withKernels(backend, () => kernels),
      allocate: (dtype, length) => this.#memory('allocate', () => backend.allocate(dtype, length)),
      free: (memory) => this.#memory('free', () => backend.free(memory)),
    };
  }

  enter(section: Section): void {
    if (section.kind === 'step') this.#steps++;
    const startMs = performance.now();
    const event = this.#isTraced ? this.trace.begin(section.name, section.kind, startMs) : null;
    this.#open.push({ section, startMs, event });
  }

  exit(): void {
    const endMs = performance.now();
    const left = this.#open.pop();
    if (left === undefined) return;
    if (left.event !== null) this.trace.end(left.event, endMs);
    if (left.section.kind !== 'step' || this.#steps <= WARMUP_STEPS) return;
    this.kernels.addStep(endMs - left.startMs);
    if (this.#steps === WARMUP_STEPS + TRACED_STEPS) this.#onTraced();
  }

  took(liveBytes: number, holdings: () => Holding[]): void {
    this.buffers.took(liveBytes, holdings, this.#sections);
  }

  /** In a step behind the warm-up. */
  get #isMeasured(): boolean {
    return this.#open.length > 0 && this.#steps > WARMUP_STEPS;
  }

  get #isTraced(): boolean {
    return this.#steps > WARMUP_STEPS && this.#steps <= WARMUP_STEPS + TRACED_STEPS;
  }

  get #sections(): Section[] {
    return this.#open.map(({ section }) => section);
  }

  #called({ kernel, args, startMs, endMs }: KernelCall): void {
    if (!this.#isMeasured) return;
    const work = kernelWork(kernel, args);
    this.kernels.addCall(kernel, useOf(kernel, this.#sections), endMs - startMs, work);
    if (!this.#isTraced) return;
    this.trace.end(this.trace.begin(kernel, 'kernel', startMs), endMs, traceArgs(args, work, endMs - startMs));
  }

  #memory<T>(name: 'allocate' | 'free', body: () => T): T {
    const startMs = performance.now();
    const result = body();
    const endMs = performance.now();
    if (!this.#isMeasured) return result;
    this.kernels.addCall(name, 'memory', endMs - startMs, { flops: 0, denseFlops: 0, bytes: 0 });
    if (this.#isTraced) this.trace.end(this.trace.begin(name, 'memory', startMs), endMs);
    return result;
  }
}

function traceArgs(args: readonly unknown[], work: KernelWork, ms: number): Record<string, unknown> {
  const rate = (amount: number) => (ms > 0 ? Number((amount / ms / 1e6).toPrecision(4)) : 0);
  return {
    operands: args.filter(isOperand).map(operandText).join(' '),
    ...(work.denseFlops > 0 && { gflops: rate(work.flops), gflopsDenseEquivalent: rate(work.denseFlops) }),
    gbPerSecond: rate(work.bytes),
  };
}

function isOperand(value: unknown): value is Tensor | SparseRows {
  return typeof value === 'object' && value !== null && ('data' in value || 'rows' in value);
}

function operandText(operand: Tensor | SparseRows): string {
  if (!('rows' in operand)) return shapeText(operand.shape);
  const { rows, cols } = operand;
  return `${shapeText([rows, cols])} with ${nonZeros(operand)} non-zeros`;
}
