/**
 * The native addon as TypeScript sees it (kernels/napi.c), and how it is found: build/native/qsparse.node of the package,
 * built by `npm run build` where a C compiler is. Loading it starts nothing.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BackendError, messageOf } from '../../util/errors.ts';

export interface AddonInstance {
  readonly isa: string;
  /** The instruction set has an instruction for bf16 products. */
  readonly bf16: boolean;
  /** 32 f64 slots that `run` gives to the kernel. */
  readonly args: ArrayBuffer;
  run(kernelIndex: number, parts: number): void;
  /** Ends the threads; `run` throws from then on. */
  dispose(): void;
}

export interface Addon {
  readonly kernelNames: readonly string[];
  /** Instruction sets compiled in, from the plainest to the widest. */
  readonly isas: readonly string[];
  /** Those of `isas` that this CPU runs. */
  readonly supportedIsas: readonly string[];
  /** Of the system: parts of files begin on one. */
  readonly pageBytes: number;
  create(threads: number, isa: string | null): AddonInstance;
  allocate(bytes: number): { buffer: ArrayBuffer; address: number };
  /** Bytes of the open file of this descriptor, from an offset on that is a multiple of `pageBytes`. */
  map(file: number, offset: number, bytes: number): { buffer: ArrayBuffer; address: number };
  free(buffer: ArrayBuffer): void;
}

// The same relative path from src/backends/native and from dist/backends/native.
const ADDON_URL = new URL('../../../build/native/qsparse.node', import.meta.url);

/** Whether the addon has been built. */
export function isAddonBuilt(): boolean {
  return existsSync(ADDON_URL);
}

/** Loads the addon. Throws BackendError where it was not built or does not load on this system. */
export function loadAddon(): Addon {
  if (!isAddonBuilt()) {
    throw new BackendError(
      'native',
      `the native kernels are not built: expected build/native/qsparse.node, found none. ${howToBuild()}`,
    );
  }
  try {
    return createRequire(import.meta.url)(fileURLToPath(ADDON_URL)) as Addon;
  } catch (cause) {
    throw new BackendError(
      'native',
      `the native kernels do not load: ${messageOf(cause)}. Delete the folder build/native and run \`npm run build\`.`,
      { cause },
    );
  }
}

/** What to type to get the native kernels on this system. */
export function howToBuild(platform: NodeJS.Platform = process.platform): string {
  if (platform === 'darwin') return 'Install a C compiler (`xcode-select --install`), then run `npm run build`.';
  if (platform === 'win32') return 'On Windows they are built under WSL; the wasm backend runs everywhere.';
  return 'Install a C compiler (for example `apt-get install gcc libc6-dev`), then run `npm run build`.';
}
