/**
 * The wasm backend: the same C kernels as the native one, in 128-bit SIMD, with threads over one shared memory.
 *
 * It needs no compiler on the system and runs in Node and in browsers; what these do differently, reading the module and starting threads,
 * is a WasmPlatform. Memory ends at 4 GiB. Typed arrays of tensors are views
 * of a SharedArrayBuffer: arithmetic, `set`, `subarray` and the kernels work, while TextDecoder, crypto and file writes refuse such views:
 * copy with `slice()` first. Views made before the memory grew stay valid.
 *
 * The calling thread is one of the threads: it posts a job, works on it, and waits for the others without its event loop. A page's main
 * thread may not wait, so that several threads need a Worker there.
 */

import type { Backend } from '../../backend.ts';
import { BYTES_PER_ELEMENT, type DataOf, type DType } from '../../tensor/tensor.ts';
import { viewOf } from '../../tensor/view-of.ts';
import { BackendError, messageOf } from '../../util/errors.ts';
import { type CKernelHost, createCKernels } from '../c-kernels.ts';
import { kernelIndices } from '../kernel-indices.ts';
import { checkThreads } from '../thread-count.ts';
import { WasmAllocator } from './wasm-allocator.ts';
import { loadWasmModule, textAt, type WasmExports } from './wasm-module.ts';
import type { WasmPlatform, WasmThread } from './wasm-platform.ts';

const ARG_SLOTS = 32;
const STACK_BYTES = 1 << 18;
const INITIAL_PAGES = 256;
/** 4 GiB, then less: some systems limit the address space that a process may reserve. */
const MAXIMUM_PAGES = [65536, 32768, 16384, 8192];

export interface WasmBackendOptions {
  /** Threads, the calling one included; where left out all physical cores in Node, all logical ones in a browser, which tells no others. */
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
 * Rejects with BackendError where the module is not built, the page may not use threads or one does not start, UsageError for bad `threads`.
 */
export async function createWasmBackend(platform: WasmPlatform, options: WasmBackendOptions = {}): Promise<Backend> {
  const threads = checkThreads(options.threads ?? platform.defaultThreads());
  platform.checkSupport(threads);
  const machine = createMachine(await loadWasmModule(platform));
  // Before there are threads that someone would have to stop.
  const host = createHost(machine, threads);
  const workers = await startWorkers(platform, machine, threads - 1);
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
      for (const worker of workers) worker.terminate();
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

async function startWorkers(platform: WasmPlatform, machine: Machine, count: number): Promise<WasmThread[]> {
  const workers = Array.from({ length: count }, () =>
    platform.startThread({
      module: machine.module,
      memory: machine.memory,
      stackTop: machine.allocator.allocate(STACK_BYTES).address + STACK_BYTES,
      scratch: machine.allocator.allocate(machine.wasm.scratch_bytes()).address,
    }),
  );
  try {
    await Promise.all(workers.map(({ ready }) => ready));
  } catch (cause) {
    for (const worker of workers) worker.terminate();
    throw new BackendError('wasm', `a thread does not start: ${messageOf(cause)}. Try fewer threads.`, { cause });
  }
  return workers;
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
