/**
 * The native backend: the C kernels as a Node addon, with the widest instruction set of the CPU and a thread pool.
 *
 * Owns the addon's instance (threads, argument slots) and its memory. Which slots a kernel takes is c-kernels.ts's
 * business; shapes are checked by whoever wraps the table (load-backend.ts). Memory is outside of JavaScript's heap: 64-byte aligned, in huge pages
 * where it is large, returned at once by `free` (the array then has length 0), and by the garbage collector where `free` is forgotten. Parts of
 * files are mapped (kernels/memory.c) and freed in the same way.
 */

import type { Backend } from '../../backend.ts';
import { BYTES_PER_ELEMENT, type DataOf, type DType } from '../../tensor/tensor.ts';
import { viewOf } from '../../tensor/view-of.ts';
import { BackendError, messageOf } from '../../util/errors.ts';
import type { CKernelName } from '../c-kernel-names.ts';
import { type CKernelHost, createCKernels } from '../c-kernels.ts';
import { defaultThreads } from '../default-threads.ts';
import { kernelIndices } from '../kernel-indices.ts';
import { checkThreads } from '../thread-count.ts';
import { type Addon, type AddonInstance, loadAddon } from './addon.ts';

export interface NativeBackendOptions {
  /** Threads, the calling one included; all physical cores where left out. */
  threads?: number | undefined;
  /** sse2, avx2, avx512, avx512bf16, neon, neondotprod or neonbf16; where left out $QSPARSE_ISA, else the widest that the CPU has. */
  isa?: string | undefined;
}

/**
 * Loads the addon and starts its threads, which neither keep the process alive nor outlive it.
 * Throws BackendError where the addon is not built or the CPU lacks the instruction set, UsageError for bad `threads`.
 */
export function createNativeBackend(options: NativeBackendOptions = {}): Backend {
  const addon = loadAddon();
  const threads = checkThreads(options.threads ?? defaultThreads());
  // Before there are threads that someone would have to stop.
  const indices = kernelIndices('native', addon.kernelNames);
  const instance = createInstance(addon, threads, options.isa ?? (process.env.QSPARSE_ISA || undefined));
  return {
    name: 'native',
    description: `native ${instance.isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    threads,
    bf16: instance.bf16,
    kernels: createCKernels(createHost(indices, instance, threads)),
    allocate: (dtype, length) => allocate(addon, dtype, length),
    mapFile: (file, offset, bytes) => mapFile(addon, file, offset, bytes),
    free: (memory) => addon.free(memory.data.buffer as ArrayBuffer),
    dispose: () => instance.dispose(),
  };
}

function createInstance(addon: Addon, threads: number, isa: string | undefined): AddonInstance {
  if (isa !== undefined && !addon.supportedIsas.includes(isa)) {
    const why = addon.isas.includes(isa) ? 'this CPU lacks it' : 'this build has no such instruction set';
    const offer = addon.supportedIsas.join(', ');
    throw new BackendError('native', `cannot use the instruction set ${isa}: ${why}. Use one of: ${offer}.`);
  }
  try {
    return addon.create(threads, isa ?? null);
  } catch (cause) {
    throw new BackendError('native', `${messageOf(cause)}. Try fewer than ${threads} threads.`, { cause });
  }
}

/** What c-kernels.ts needs to run kernels: the slots and `run`. */
export function createHost(
  indices: Readonly<Record<CKernelName, number>>,
  instance: AddonInstance,
  threads: number,
): CKernelHost {
  return {
    args: new Float64Array(instance.args),
    run: (kernel, parts = threads) => instance.run(indices[kernel], parts),
  };
}

function allocate<D extends DType>(addon: Addon, dtype: D, length: number): { data: DataOf[D]; address: number } {
  const bytes = length * BYTES_PER_ELEMENT[dtype];
  try {
    // Never 0 bytes: every tensor has an address of its own.
    const { buffer, address } = addon.allocate(Math.max(bytes, BYTES_PER_ELEMENT.f64));
    return { data: viewOf(buffer, dtype, 0, length), address };
  } catch (cause) {
    const mebibytes = (bytes / 2 ** 20).toFixed(1);
    throw new BackendError(
      'native',
      `cannot allocate ${mebibytes} MiB: ${messageOf(cause)}. Use a smaller model, batch or sequence length.`,
      { cause },
    );
  }
}

function mapFile(addon: Addon, file: number, offset: number, bytes: number): { data: Uint8Array; address: number } {
  const behindPage = offset % addon.pageBytes;
  try {
    const { buffer, address } = addon.map(file, offset - behindPage, bytes + behindPage);
    return { data: new Uint8Array(buffer, behindPage, bytes), address: address + behindPage };
  } catch (cause) {
    const what = `cannot map ${bytes} bytes of a file from byte ${offset} on: ${messageOf(cause)}`;
    throw new BackendError('native', `${what}. Copy the file to a local disk, or load it with { mmap: false }.`, {
      cause,
    });
  }
}
