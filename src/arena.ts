/**
 * Arena: memory taken from a backend piece by piece and given back all at once.
 *
 * For memory with one life: the weights of a loaded model, and what inference plans before the first token and keeps
 * until the engine is disposed. What is taken and released again and again belongs to tensor-pool.ts instead.
 */

import type { Backend } from './backend.ts';
import { BYTES_PER_ELEMENT, type DataOf, type DType, sizeOf, type Tensor } from './tensor/tensor.ts';

export class Arena {
  readonly #backend: Backend;
  #memories: { data: DataOf[DType]; address: number }[] = [];
  #taken = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Bytes of all tensors of this arena, mapped ones too. */
  get bytes(): number {
    return this.#taken;
  }

  /** A new tensor, all 0, that lives until `free`. */
  tensor<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
    const size = sizeOf(shape);
    const memory = this.#backend.allocate(dtype, size);
    this.#memories.push(memory);
    this.#taken += size * BYTES_PER_ELEMENT[dtype];
    return { dtype, shape, data: memory.data, address: memory.address };
  }

  /** `bytes` of an open file from `offset` on, mapped (Backend.mapFile) until `free`; undefined where the backend cannot map. */
  mapFile(file: number, offset: number, bytes: number): Tensor<'u8'> | undefined {
    const memory = this.#backend.mapFile?.(file, offset, bytes);
    if (memory === undefined) return undefined;
    this.#memories.push(memory);
    this.#taken += bytes;
    return { dtype: 'u8', shape: [bytes], ...memory };
  }

  /** Gives all memory back; no tensor of this arena may be used afterwards. */
  free(): void {
    for (const memory of this.#memories) this.#backend.free(memory);
    this.#memories = [];
    this.#taken = 0;
  }
}
