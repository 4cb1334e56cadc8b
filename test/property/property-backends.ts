/** The backends that properties run on, and tensors that live as long as one run of a property. */

import type { Backend } from '../../src/backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import type { BlockRows, SparseRows } from '../../src/tensor/sparse-rows.ts';
import {
  type DataOf,
  type DType,
  type FloatTensor,
  type IntTensor,
  sizeOf,
  type Tensor,
} from '../../src/tensor/tensor.ts';
import { type BuiltName, createBuiltBackend, missingReason } from '../conformance/built-backends.ts';

export interface PropertyBackend {
  name: string;
  /** Why it is skipped, or null. */
  missing: string | null;
  create: () => Backend | Promise<Backend>;
}

const built = (name: BuiltName): PropertyBackend => ({
  name,
  missing: missingReason(name),
  create: () => createBuiltBackend(name, 2),
});

export const PROPERTY_BACKENDS: readonly PropertyBackend[] = [
  { name: 'reference', missing: null, create: () => createReferenceBackend() },
  built('native'),
  built('wasm'),
];

/** Allocates on a backend and frees all of it together. */
export class Arena {
  private readonly blocks: { data: DataOf[DType]; address: number }[] = [];
  readonly backend: Backend;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  float(shape: readonly number[], values?: ArrayLike<number>): Tensor<'f32'> {
    const block = this.backend.allocate('f32', sizeOf(shape));
    this.blocks.push(block);
    if (values) block.data.set(values);
    return { dtype: 'f32', shape, ...block };
  }

  int(shape: readonly number[]): IntTensor {
    const block = this.backend.allocate('i32', sizeOf(shape));
    this.blocks.push(block);
    return { dtype: 'i32', shape, ...block };
  }

  /** An empty matrix with room for `capacity` elements. */
  rows(rows: number, cols: number, capacity: number): SparseRows {
    return { rows, cols, start: this.int([rows + 1]), index: this.int([capacity]), value: this.float([capacity]) };
  }

  /** The same for a selection in blocks. */
  blockRows(rows: number, cols: number, size: number, kept: number): BlockRows {
    const capacity = rows * (cols / size) * kept;
    const block = this.backend.allocate('u8', capacity);
    this.blocks.push(block);
    return {
      ...this.rows(rows, cols, capacity),
      blocks: { size, kept, place: { dtype: 'u8', shape: [capacity], ...block } },
    };
  }

  /** The non-zeros of x, by the backend's own kernels. */
  gathered(x: FloatTensor): SparseRows {
    const [rows, cols] = x.shape;
    const start = this.int([rows + 1]);
    this.backend.kernels.countNonZeros(x, start);
    const count = start.data[rows];
    const out = { rows, cols, start, index: this.int([count]), value: this.float([count]) };
    this.backend.kernels.gatherNonZeros(x, out);
    return out;
  }

  /** The `kept` largest of each row of x. */
  selected(x: FloatTensor, kept: number): SparseRows {
    const [rows, cols] = x.shape;
    const out = this.rows(rows, cols, rows * kept);
    this.backend.kernels.selectTopK(x, kept, out);
    return out;
  }

  free(): void {
    for (const block of this.blocks) this.backend.free(block);
    this.blocks.length = 0;
  }
}

/** Runs `body` with an arena that is freed whatever happens. */
export function withArena(backend: Backend, body: (arena: Arena) => void): void {
  const arena = new Arena(backend);
  try {
    body(arena);
  } finally {
    arena.free();
  }
}
