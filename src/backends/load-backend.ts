/**
 * Chooses and loads a backend, with its shapes checked: what commands, tests and benchmarks call.
 *
 * Without a wish it is the native one, or wasm where no compiler built the native one; that is said through `notice`, so that nobody
 * measures wasm for native. A browser has wasm alone. A wish is never replaced by something else.
 */

import type { Backend, BackendName } from '../backend.ts';
import { BackendError, UsageError } from '../util/errors.ts';
import { checkKernels } from './check-kernels.ts';
import { IN_NODE } from './in-node.ts';
import type { WasmPlatform } from './wasm/wasm-platform.ts';
import { withKernels } from './with-kernels.ts';

export interface LoadBackendOptions {
  /** Left out: native where it is built, else wasm; in a browser wasm. */
  backend?: BackendName | undefined;
  /** Threads, the calling one included; where left out all physical cores, in a browser all logical ones. */
  threads?: number | undefined;
  /** Instruction set of the native backend (sse2, avx2, avx512, avx512bf16, neon, neondotprod, neonbf16); the widest where left out. */
  isa?: string | undefined;
  /** Takes a line for people where the backend is not the fastest one. */
  notice?: ((line: string) => void) | undefined;
}

let fallbackNoted = false;

/**
 * Throws BackendError with what to do where the wished backend is not built or the CPU lacks `isa`, UsageError for an unknown
 * name. With QSPARSE_DEBUG=1 in the environment kernels look for NaN in their inputs too.
 */
export async function loadBackend(options: LoadBackendOptions = {}): Promise<Backend> {
  const backend = await load(options);
  const debug = IN_NODE && process.env.QSPARSE_DEBUG === '1';
  const kernels = checkKernels(backend.kernels, { debug });
  return withKernels(backend, () => kernels);
}

/** Each backend is imported only where it is used: the reference one runs where neither addon nor wasm does. */
async function load({ backend, threads, isa, notice }: LoadBackendOptions): Promise<Backend> {
  if (isa !== undefined && backend !== undefined && backend !== 'native') {
    throw new UsageError('backend', `${backend} has no instruction sets to choose from: expected none, got ${isa}.`);
  }
  switch (backend) {
    case 'native':
      return await loadNative(threads, isa);
    case 'wasm':
      return await loadWasm(threads);
    case 'reference': {
      const { createReferenceBackend } = await import('./reference/reference-backend.ts');
      return createReferenceBackend();
    }
    case undefined:
      return await loadFastest(threads, isa, notice);
    default:
      throw new UsageError('backend', `unknown backend ${backend}: expected native, wasm or reference.`);
  }
}

async function loadFastest(
  threads: number | undefined,
  isa: string | undefined,
  notice: ((line: string) => void) | undefined,
): Promise<Backend> {
  if (isa !== undefined) return await loadNative(threads, isa);
  if (!IN_NODE) return await loadWasm(threads);
  const { howToBuild, isAddonBuilt } = await import('./native/addon.ts');
  if (isAddonBuilt()) return await loadNative(threads, isa);
  if (!fallbackNoted) notice?.(`The native kernels are not built; using the slower wasm ones. ${howToBuild()}`);
  fallbackNoted = true;
  return await loadWasm(threads);
}

async function loadNative(threads: number | undefined, isa: string | undefined): Promise<Backend> {
  if (!IN_NODE)
    throw new BackendError('backend', 'a browser cannot load the native backend. Ask for wasm, or for none.');
  const { createNativeBackend } = await import('./native/native-backend.ts');
  return createNativeBackend({ threads, isa });
}

async function loadWasm(threads: number | undefined): Promise<Backend> {
  const { createWasmBackend } = await import('./wasm/wasm-backend.ts');
  return await createWasmBackend(await loadWasmPlatform(), { threads });
}

/** Only the one that runs is loaded: a browser has no modules of Node. */
async function loadWasmPlatform(): Promise<WasmPlatform> {
  if (IN_NODE) return (await import('./wasm/node-platform.ts')).nodePlatform;
  return (await import('./wasm/browser-platform.ts')).browserPlatform;
}
