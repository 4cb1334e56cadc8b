/**
 * Allocates blocks of the wasm memory: first fit in a list of free ranges, neighbours merged, the memory grown at its end.
 *
 * The list lives outside of the memory, so that a kernel writing where it should not cannot damage it. It is short: whoever
 * needs speed takes tensors from a TensorPool, which comes here once per block. Only ranges are handed out; zeroing them is the backend's.
 */

import { BackendError } from '../../util/errors.ts';

const PAGE_BYTES = 65536;
/** Kernels load whole registers, and rows start on cache lines. */
const ALIGNMENT = 64;
/** Growing is a system call and makes a new buffer object: not for every block. */
const GROWTH_PAGES = 256;

interface Range {
  start: number;
  end: number;
}

export class WasmAllocator {
  readonly #memory: WebAssembly.Memory;
  readonly #maximumBytes: number;
  /** Free ranges below #top, ascending, never touching each other. */
  readonly #free: Range[] = [];
  readonly #used = new Map<number, number>();
  #top: number;

  /** Hands out the memory from `base` on; `maximumPages` is what the memory was created with. */
  constructor(memory: WebAssembly.Memory, base: number, maximumPages: number) {
    this.#memory = memory;
    this.#maximumBytes = maximumPages * PAGE_BYTES;
    this.#top = roundUp(base);
  }

  /**
   * A range of at least `bytes`, aligned to 64. `fresh` says that it was never handed out before, hence is all 0.
   * Throws BackendError where the memory cannot grow any more.
   */
  allocate(bytes: number): { address: number; bytes: number; fresh: boolean } {
    const size = roundUp(Math.max(bytes, 1));
    const position = this.#free.findIndex((range) => range.end - range.start >= size);
    const fresh = position < 0;
    const address = fresh ? this.#extend(size) : this.#carve(position, size);
    this.#used.set(address, size);
    return { address, bytes: size, fresh };
  }

  /** Throws BackendError where no block that is in use starts at `address`. */
  free(address: number): void {
    const size = this.#used.get(address);
    if (size === undefined) {
      throw new BackendError('wasm', `free of address ${address}: no block in use starts there. Free a block once.`);
    }
    this.#used.delete(address);
    this.#insert({ start: address, end: address + size });
  }

  #carve(position: number, size: number): number {
    const range = this.#free[position];
    const address = range.start;
    range.start += size;
    if (range.start === range.end) this.#free.splice(position, 1);
    return address;
  }

  #extend(size: number): number {
    const address = this.#top;
    const end = address + size;
    if (end > this.#memory.buffer.byteLength) this.#grow(end, size);
    this.#top = end;
    return address;
  }

  #grow(end: number, size: number): void {
    const current = this.#memory.buffer.byteLength / PAGE_BYTES;
    const needed = Math.ceil(end / PAGE_BYTES) - current;
    const room = this.#maximumBytes / PAGE_BYTES - current;
    try {
      if (needed > room) throw new RangeError('beyond the maximum');
      this.#memory.grow(Math.min(room, Math.max(needed, GROWTH_PAGES)));
    } catch (cause) {
      const wanted = (size / 2 ** 20).toFixed(1);
      const inUse = (this.#top / 2 ** 20).toFixed(1);
      const limit = (this.#maximumBytes / 2 ** 20).toFixed(0);
      throw new BackendError(
        'wasm',
        `cannot allocate ${wanted} MiB beside the ${inUse} MiB in use: wasm memory ends at ${limit} MiB. ` +
          'Use the native backend (a C compiler and `npm run build`), or a smaller model, batch or sequence length.',
        { cause },
      );
    }
  }

  #insert(range: Range): void {
    const found = this.#free.findIndex((other) => other.start > range.start);
    const position = found < 0 ? this.#free.length : found;
    this.#free.splice(position, 0, range);
    this.#mergeWithNext(position);
    if (position > 0) this.#mergeWithNext(position - 1);
  }

  #mergeWithNext(position: number): void {
    const [range, next] = [this.#free[position], this.#free[position + 1]];
    if (next === undefined || range.end !== next.start) return;
    range.end = next.end;
    this.#free.splice(position + 1, 1);
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
