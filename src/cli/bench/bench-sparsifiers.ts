/**
 * What `bench select` and `bench product` choose the inputs by: top-K over a whole row, or in blocks, whose products know the count of each block.
 */

import type { Arena } from '../../arena.ts';
import type { Kernels } from '../../backend.ts';
import { keptCount } from '../../model/config.ts';
import type { BlockRows, SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { UsageError } from '../../util/errors.ts';

export const BENCH_SPARSIFIERS = ['topk', 'block'] as const;
export type BenchSparsifier = (typeof BENCH_SPARSIFIERS)[number];

/** Features of a block: the paper's. */
const BLOCK_SIZE = 32;

/** Features of a row that stay. Throws UsageError for rows that blocks do not divide. */
export function keptBy(sparsifier: BenchSparsifier, sparsity: number, features: number): number {
  if (sparsifier === 'topk') return keptCount(sparsity, features);
  if (features % BLOCK_SIZE > 0) {
    throw new UsageError(
      '--sparsifier',
      `blocks of ${BLOCK_SIZE} do not divide ${features} features. Leave block out.`,
    );
  }
  return keptCount(sparsity, BLOCK_SIZE) * (features / BLOCK_SIZE);
}

/** Room for a selection of up to all of `rows` x `widest`, and the selection in it. */
export class BenchSelection {
  readonly #memory: Pick<SparseRows, 'start' | 'index' | 'value'> & Pick<BlockRows['blocks'], 'place'>;

  constructor(arena: Arena, rows: number, widest: number) {
    this.#memory = {
      start: arena.tensor('i32', [rows + 1]),
      index: arena.tensor('i32', [rows * widest]),
      value: arena.tensor('f32', [rows * widest]),
      place: arena.tensor('u8', [rows * widest]),
    };
  }

  /** A call that selects `kept` features of each row of x, and the list that it fills. */
  of(kernels: Kernels, x: FloatTensor, sparsifier: BenchSparsifier, kept: number): { list: SparseRows; run(): void } {
    const [rows, cols] = x.shape;
    const { place, ...memory } = this.#memory;
    const list = { rows, cols, ...memory };
    if (sparsifier === 'topk') return { list, run: () => kernels.selectTopK(x, kept, list) };
    const blocks = { ...list, blocks: { size: BLOCK_SIZE, kept: kept / (cols / BLOCK_SIZE), place } };
    return { list: blocks, run: () => kernels.selectBlockTopK(x, blocks) };
  }
}
