/**
 * TensorPool: memory of a backend, taken and released again and again at no cost.
 *
 * A training step takes the same few hundred tensors each time. Asking the backend for each would mean a system call and
 * fresh zero pages; here a released block waits for the next tensor of about its size. Sizes are rounded up to buckets,
 * eight to each power of two, so that shapes that differ a little share blocks and at most a ninth of a block is unused.
 *
 * Sizes drift: the lists of natural zeros shrink as training goes on. So the pool holds little more than the most that was
 * ever live at once, and gives the blocks that waited longest back before it asks for new ones.
 *
 * The pool owns the memory, a tensor borrows it: whoever took a tensor releases that very tensor, never a view of it.
 */

import type { Backend } from './backend.ts';
import { BYTES_PER_ELEMENT, type DType, sizeOf, type Tensor } from './tensor/tensor.ts';
import { viewOf } from './tensor/view-of.ts';
import { BackendError, ShapeError } from './util/errors.ts';

/** Below this the buckets would be finer than a cache line. */
const SMALLEST_BUCKET_BYTES = 512;

/** How much more than the peak of live bytes may be held: less would ask the system for pages in every step. */
const HELD_OVER_PEAK = 1.05;

interface Block {
  readonly bytes: number;
  readonly data: Float64Array<ArrayBufferLike>;
  readonly address: number;
  /** Number of the release that made it wait. */
  releasedAt: number;
}

/** The size of the block that serves `bytes`: the next of 8 equal steps between two powers of two, at least 512. */
export function bucketBytes(bytes: number): number {
  if (bytes <= SMALLEST_BUCKET_BYTES) return SMALLEST_BUCKET_BYTES;
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - 4);
  return Math.ceil(bytes / step) * step;
}

/** Bytes of the block that holds a tensor of the pool. */
export function blockBytes({ dtype, data }: Pick<Tensor, 'dtype' | 'data'>): number {
  return bucketBytes(data.length * BYTES_PER_ELEMENT[dtype]);
}

export class TensorPool {
  readonly #backend: Backend;
  readonly #free = new Map<number, Block[]>();
  readonly #live = new Map<Tensor, Block>();
  #liveBytes = 0;
  #peakBytes = 0;
  #heldBytes = 0;
  #releases = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Bytes of the blocks behind tensors that are taken and not yet released. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** The largest `liveBytes` there has been. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Bytes held from the backend: live, or waiting for the next `take`. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * A tensor of `shape`; its contents are undefined. A shape with an extent of 0 is fine.
   * Throws ShapeError for an extent that is no whole number >= 0, BackendError when the memory is exhausted.
   */
  take<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
    if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
      throw new ShapeError('TensorPool', `no tensor has the shape [${shape.join(', ')}]: expected whole numbers >= 0.`);
    }
    const size = sizeOf(shape);
    const bytes = bucketBytes(size * BYTES_PER_ELEMENT[dtype]);
    const block = this.#free.get(bytes)?.pop() ?? this.#newBlock(bytes);
    const data = viewOf(block.data.buffer, dtype, block.data.byteOffset, size);
    const tensor: Tensor<D> = { dtype, shape: [...shape], data, address: block.address };
    this.#live.set(tensor, block);
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return tensor;
  }

  /** As `take`, with all elements 0. */
  takeZeroed<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
    const tensor = this.take(dtype, shape);
    tensor.data.fill(0);
    return tensor;
  }

  /** Gives the memory of `tensor` back for reuse. Throws BackendError on a view and on a second release. */
  release(tensor: Tensor): void {
    const block = this.#live.get(tensor);
    if (block === undefined) {
      throw new BackendError(
        'TensorPool',
        `release of a ${tensor.dtype} tensor [${tensor.shape.join(', ')}] that is not live here: expected a tensor of ` +
          'take(), got a view, a tensor of another pool, or one released before. Release the owner once.',
      );
    }
    this.#live.delete(tensor);
    this.#liveBytes -= block.bytes;
    block.releasedAt = this.#releases++;
    const waiting = this.#free.get(block.bytes);
    // Last in, first out: the block most recently used is the one most likely still in the cache.
    if (waiting === undefined) this.#free.set(block.bytes, [block]);
    else waiting.push(block);
  }

  /** Returns every block that no tensor uses to the backend. */
  trim(): void {
    for (const blocks of this.#free.values()) {
      for (const block of blocks) {
        this.#heldBytes -= block.bytes;
        this.#backend.free(block);
      }
    }
    this.#free.clear();
  }

  #newBlock(bytes: number): Block {
    const limit = HELD_OVER_PEAK * Math.max(this.#peakBytes, this.#liveBytes + bytes);
    while (this.#heldBytes + bytes > limit && this.#heldBytes > this.#liveBytes) this.#giveBackOldest();
    const length = bytes / BYTES_PER_ELEMENT.f64;
    let memory: { data: Float64Array; address: number };
    try {
      memory = this.#backend.allocate('f64', length);
    } catch (error) {
      // Blocks of other sizes may be what fills the memory. They are lost only when they are needed elsewhere.
      if (!(error instanceof BackendError) || this.#heldBytes === this.#liveBytes) throw error;
      this.trim();
      memory = this.#backend.allocate('f64', length);
    }
    this.#heldBytes += bytes;
    return { bytes, data: memory.data, address: memory.address, releasedAt: 0 };
  }

  #giveBackOldest(): void {
    let oldest: Block[] | undefined;
    for (const waiting of this.#free.values()) {
      if (waiting.length > 0 && (oldest === undefined || waiting[0].releasedAt < oldest[0].releasedAt))
        oldest = waiting;
    }
    const block = oldest?.shift();
    if (block === undefined) return;
    this.#heldBytes -= block.bytes;
    this.#backend.free(block);
  }
}
