/** `--profile` and `--trace` of one run: the limits of the machine before it, the tables and the file after it. */

import type { Backend } from '../../../backend.ts';
import { writeFileAtomically } from '../../../formats/atomic-write.ts';
import type { Trainer } from '../../../train/trainer.ts';
import { formatBytes } from '../../../util/format.ts';
import { machineText } from '../../shared/machine.ts';
import { measurePeaks, type Peaks } from '../../shared/measure-peaks.ts';
import type { Output } from '../../shared/output.ts';
import type { BufferTable } from './buffer-plan.ts';
import type { KernelTable } from './kernel-profile.ts';
import { printBuffers, printKernels } from './print-profile.ts';
import { Profiler, TRACED_STEPS, WARMUP_STEPS } from './profiler.ts';

export interface ProfileOptions {
  profile?: boolean;
  trace?: string;
}

/** What `--json` carries. */
export interface ProfileSummary {
  /** Of this process, not counted below. */
  warmupSteps: number;
  peaks: Peaks | null;
  /** null where the run ended within the warm-up. */
  kernelTable: KernelTable | null;
  bufferTable: BufferTable | null;
}

export class RunProfile {
  readonly profiler: Profiler;
  /** The backend to train on. */
  readonly backend: Backend;
  readonly #options: ProfileOptions;
  readonly #output: Output;
  readonly #peaks: Peaks | null;
  #traceBytes = 0;

  /** null where neither option was given. With --profile it measures for about a second. */
  static begin(options: ProfileOptions, backend: Backend, output: Output): RunProfile | null {
    return options.profile === true || options.trace !== undefined ? new RunProfile(options, backend, output) : null;
  }

  private constructor(options: ProfileOptions, backend: Backend, output: Output) {
    this.#options = options;
    this.#output = output;
    this.profiler = new Profiler(() => this.#writeEarly());
    this.backend = this.profiler.observe(backend);
    this.#peaks = options.profile ? this.#measure(backend) : null;
  }

  /** Prints the tables and writes the trace; for --json what --profile found. Throws FormatError where it cannot be written. */
  finish(trainer: Trainer): { profile?: ProfileSummary; trace?: string } {
    const { profile, trace } = this.#options;
    const summary = profile ? this.#summary(trainer) : null;
    if (summary) this.#print(summary);
    const isWritten = trace !== undefined && this.#finishTrace(trace);
    return { ...(summary && { profile: summary }), ...(isWritten && { trace }) };
  }

  #measure(backend: Backend): Peaks | null {
    if (backend.name === 'reference') {
      this.#output.note('The reference backend is written to be read, not to be fast; its peaks are not measured.');
      return null;
    }
    this.#output.progress().update({ label: 'measuring the peaks of this machine' });
    const peaks = measurePeaks(backend);
    this.#output.progress().done();
    return peaks;
  }

  #summary(trainer: Trainer): ProfileSummary {
    const { kernels, buffers } = this.profiler;
    return {
      warmupSteps: WARMUP_STEPS,
      peaks: this.#peaks,
      kernelTable: kernels.table(this.#peaks),
      bufferTable: buffers.table(trainer),
    };
  }

  #print({ kernelTable, bufferTable, peaks }: ProfileSummary): void {
    if (kernelTable) printKernels(this.#output, kernelTable, peaks, this.backend.description);
    else this.#output.warn(`no profile: the first ${WARMUP_STEPS} steps warm up, and the run had no more`);
    if (bufferTable) printBuffers(this.#output, bufferTable);
  }

  /** While the run goes on: a full disk must not end it. What fails here is tried again, and said, at the end. */
  #writeEarly(): void {
    if (this.#options.trace === undefined) return;
    try {
      this.#write(this.#options.trace);
    } catch {
      // See above.
    }
  }

  /** False where there is nothing to write. */
  #finishTrace(path: string): boolean {
    if (this.profiler.trace.isEmpty) {
      this.#output.warn(`no trace: the first ${WARMUP_STEPS} steps warm up, and the run had no more`);
      return false;
    }
    if (this.#traceBytes === 0) this.#write(path);
    const size = formatBytes(this.#traceBytes);
    this.#output.line(`\ntrace    ${path} (${size}, at most ${TRACED_STEPS} steps)`);
    this.#output.line('open it: https://ui.perfetto.dev');
    return true;
  }

  #write(path: string): void {
    const text = this.profiler.trace.toJson(`${this.backend.description}, ${machineText()}`);
    writeFileAtomically(path, text);
    this.#traceBytes = Buffer.byteLength(text);
  }
}
