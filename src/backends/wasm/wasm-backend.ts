/**
 * The wasm backend: the same C kernels as the native one, in 128-bit SIMD, with threads over one shared memory.
 *
 * It needs no compiler on the system and runs wherever Node does. Memory ends at 4 GiB. Typed arrays of tensors are views
 * of a SharedArrayBuffer: arithmetic, `set`, `subarray` and the kernels work, while TextDecoder, crypto and file writes refuse such views:
 * copy with `slice()` first. Views made before the memory grew stay valid.
 *
 * The main thread is one of the threads: it posts a job, works on it, and waits for the others without its event loop.
 */

import { Worker } from 'node:worker_threads';
import type { Backend } from '../../backend.ts';
import { BYTES_PER_ELEMENT, type DataOf, type DType } from '../../tensor/tensor.ts';
import { viewOf } from '../../tensor/view-of.ts';
import { BackendError, messageOf } from '../../util/errors.ts';
import { type CKernelHost, createCKernels } from '../c-kernels.ts';
import { resolveThreads } from '../default-threads.ts';
import { kernelIndices } from '../kernel-indices.ts';
import { WasmAllocator } from './wasm-allocator.ts';
import { loadWasmModule, textAt, type WasmExports } from './wasm-module.ts';
import { type WorkerStart, wasmWorkerText } from './wasm-worker.ts';

const ARG_SLOTS = 32;
const STACK_BYTES = 1 << 18;
const INITIAL_PAGES = 256;
/** 4 GiB, then less: some systems limit the address space that a process may reserve. */
const MAXIMUM_PAGES = [65536, 32768, 16384, 8192];

export interface WasmBackendOptions {
  /** Threads, the calling one included; all physical cores where left out. */
  threads?: number | undefined;
}

/** One instance of the module with what belongs to it. */
interface Machine {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly wasm: WasmExports;
  readonly allocator: WasmAllocator;
}

/**
 * Loads the module and starts its threads, which do not keep the process alive.
 * Rejects with BackendError where the module is not built or a thread does not start, UsageError for bad `threads`.
 */
export async function createWasmBackend(options: WasmBackendOptions = {}): Promise<Backend> {
  const threads = resolveThreads(options.threads);
  const machine = createMachine(await loadWasmModule());
  const workers = await startWorkers(machine, threads - 1);
  const host = createHost(machine, threads);
  return {
    name: 'wasm',
    description: `wasm simd128, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    threads,
    bf16: false,
    kernels: createCKernels(host),
    allocate: (dtype, length) => allocate(machine, dtype, length),
    free: (memory) => machine.allocator.free(memory.address),
    dispose: () => {
      machine.wasm.stop();
      for (const worker of workers) void worker.terminate();
    },
  };
}

function createMachine(module: WebAssembly.Module): Machine {
  const { memory, maximum } = createMemory();
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const wasm = instance.exports as WasmExports;
  return { module, memory, wasm, allocator: new WasmAllocator(memory, wasm.__heap_base.value >>> 0, maximum) };
}

function createMemory(): { memory: WebAssembly.Memory; maximum: number } {
  let last: unknown;
  for (const maximum of MAXIMUM_PAGES) {
    try {
      return { memory: new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared: true }), maximum };
    } catch (error) {
      last = error;
    }
  }
  throw new BackendError('wasm', `cannot reserve memory: ${messageOf(last)}. Raise the limit of \`ulimit -v\`.`);
}

async function startWorkers(machine: Machine, count: number): Promise<Worker[]> {
  const workers = Array.from({ length: count }, () => {
    const workerData: WorkerStart = {
      module: machine.module,
      memory: machine.memory,
      stackTop: machine.allocator.allocate(STACK_BYTES).address + STACK_BYTES,
      scratch: machine.allocator.allocate(machine.wasm.scratch_bytes()).address,
    };
    // The worker inherits neither flags nor loaders of this process (--import, --test ...): it needs none.
    return new Worker(wasmWorkerText(), { eval: true, workerData, execArgv: [], name: 'qsparse-wasm' });
  });
  try {
    await Promise.all(workers.map(untilReady));
  } catch (cause) {
    for (const worker of workers) void worker.terminate();
    throw new BackendError('wasm', `a thread does not start: ${messageOf(cause)}. Try fewer threads.`, { cause });
  }
  return workers;
}

function untilReady(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('message', () => {
      worker.unref();
      resolve();
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`it ended with code ${code}`)));
  });
}

/** What c-kernels.ts needs to run kernels: the slots and `run`. */
function createHost({ memory, wasm, allocator }: Machine, threads: number): CKernelHost {
  const indices = kernelIndices('wasm', textAt(memory, wasm.kernel_names()).split(','));
  const scratch = allocator.allocate(wasm.scratch_bytes()).address;
  const maxParts = wasm.max_parts();
  return {
    args: new Float64Array(memory.buffer, wasm.args() >>> 0, ARG_SLOTS),
    run: (kernel, parts = threads) => {
      if (!(parts >= 1 && parts <= maxParts)) throw new BackendError(kernel, `cannot run in ${parts} parts.`);
      const stackTop = wasm.__stack_pointer.value;
      let failed: number;
      try {
        failed = wasm.run(indices[kernel], parts, scratch);
      } catch (cause) {
        // A trap unwinds JavaScript's stack, not the one in wasm memory.
        wasm.__stack_pointer.value = stackTop;
        if (parts > 1) wasm.abandon(parts);
        throw trapped(kernel, messageOf(cause), cause);
      }
      if (failed !== 0) throw trapped(kernel, textAt(memory, wasm.message()));
    },
  };
}

function trapped(kernel: string, message: string, cause?: unknown): BackendError {
  return new BackendError(
    kernel,
    `the wasm kernel failed: ${message}. Its outputs are undefined. Run again with QSPARSE_DEBUG=1, and report it.`,
    { cause },
  );
}

function allocate<D extends DType>(machine: Machine, dtype: D, length: number): { data: DataOf[D]; address: number } {
  const { address, fresh } = machine.allocator.allocate(length * BYTES_PER_ELEMENT[dtype]);
  // `memory.buffer` is asked now: after growth it is another object, over the same bytes and more.
  const data = viewOf(machine.memory.buffer, dtype, address, length);
  if (!fresh) data.fill(0);
  return { data, address };
}
