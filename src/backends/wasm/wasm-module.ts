/**
 * The wasm module as TypeScript sees it (kernels/wasm.c), and where it lies: build/wasm/qsparse.wasm of the package,
 * built by `npm run build` on any system. A platform reads its bytes.
 */

import { BackendError, messageOf } from '../../util/errors.ts';
import type { WasmPlatform } from './wasm-platform.ts';

/** Addresses are offsets into the memory, given and taken as 32-bit integers: `>>> 0` makes them positive. */
export interface WasmExports extends WebAssembly.Exports {
  readonly __stack_pointer: WebAssembly.Global<'i32'>;
  /** The first byte behind the module's own data. */
  readonly __heap_base: WebAssembly.Global<'i32'>;
  /** Address of the kernels' names, a text with a comma after each, ended by 0. */
  kernel_names(): number;
  args(): number;
  message(): number;
  message_bytes(): number;
  max_parts(): number;
  scratch_bytes(): number;
  run(kernelIndex: number, parts: number, scratch: number): number;
  abandon(parts: number): void;
  stop(): void;
  work_until_stopped(scratch: number): void;
  finish_failed_part(): void;
}

// The same relative path from src/backends/wasm and from dist/backends/wasm.
const MODULE_URL = new URL('../../../build/wasm/qsparse.wasm', import.meta.url);

/** Throws BackendError where the module is not there. */
export async function loadWasmModule(platform: WasmPlatform): Promise<WebAssembly.Module> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await platform.readBytes(MODULE_URL);
  } catch (cause) {
    throw new BackendError(
      'wasm',
      `the wasm kernels cannot be read: expected ${MODULE_URL.href}, got ${messageOf(cause)}. ` +
        'Run `npm run build`; for a page, serve build/ beside dist/.',
      { cause },
    );
  }
  return await WebAssembly.compile(bytes);
}

/** The text at `address` up to its 0. Copied first: a TextDecoder refuses views of shared memory. */
export function textAt(memory: WebAssembly.Memory, address: number): string {
  const bytes = new Uint8Array(memory.buffer);
  const start = address >>> 0;
  return new TextDecoder().decode(bytes.slice(start, bytes.indexOf(0, start)));
}
