/**
 * Workspace: every intermediate of one forward pass over up to `capacity` tokens, allocated once.
 *
 * `rows(n)` gives the same memory in the shape of n tokens: the one-token views are made once (decoding allocates
 * nothing), others when a chunk of a prompt needs them. One index list serves the four points in turn, since a
 * selection is consumed by the product right behind it.
 */

import type { Arena } from '../arena.ts';
import { featuresAt, type ModelConfig, outputsAt, POINTS, type Point } from '../model/config.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import { type FloatTensor, type FloatType, type IntTensor, type Tensor, view } from '../tensor/tensor.ts';

/** The intermediates of N tokens. */
export interface WorkspaceRows {
  /** N */
  readonly count: number;
  /** [N] */
  readonly ids: IntTensor;
  /** [N] */
  readonly positions: IntTensor;
  /** The residual stream, [N, D]. */
  readonly x: FloatTensor;
  /** Output of either norm of a block, [N, D], and its by-product, [N]. */
  readonly normed: FloatTensor;
  readonly rstd: FloatTensor;
  /** Queries, keys and values, [N, (nHeads + 2 nKvHeads) headDim]. */
  readonly qkv: FloatTensor;
  /** Attention output of all heads, [N, nHeads * headDim]. */
  readonly attended: FloatTensor;
  /** [N, 2 H] */
  readonly gateUp: FloatTensor;
  /** act(gate) * up, [N, H]. */
  readonly hidden: FloatTensor;
  /** The selected or non-zero features at each point. */
  readonly selected: Readonly<Record<Point, SparseRows>>;
  /** L2 norms before a re-scale, [N]. */
  readonly norm: FloatTensor;
  /** The last token's row of x, [1, D]. */
  readonly lastX: FloatTensor;
  /** The first row of `normed` and of `rstd`, [1, D] and [1], for the final norm. */
  readonly lastNormed: FloatTensor;
  readonly lastRstd: FloatTensor;
}

export class Workspace {
  readonly capacity: number;
  readonly #memory: Omit<WorkspaceRows, 'count' | 'lastX' | 'lastNormed' | 'lastRstd'>;
  readonly #one: WorkspaceRows;

  constructor(config: ModelConfig, capacity: number, dtype: FloatType, arena: Arena) {
    this.capacity = capacity;
    const matrix = (features: number) => arena.tensor(dtype, [capacity, features]);
    const vector = () => arena.tensor(dtype, [capacity]);
    const widest = Math.max(...POINTS.map((point) => featuresAt(config, point)));
    const start = arena.tensor('i32', [capacity + 1]);
    const index = arena.tensor('i32', [capacity * widest]);
    const value = arena.tensor(dtype, [capacity * widest]);
    const list = (point: Point) => ({ rows: capacity, cols: featuresAt(config, point), start, index, value });
    this.#memory = {
      ids: arena.tensor('i32', [capacity]),
      positions: arena.tensor('i32', [capacity]),
      x: matrix(config.dim),
      normed: matrix(config.dim),
      rstd: vector(),
      qkv: matrix(outputsAt(config, 'qkv')),
      attended: matrix(featuresAt(config, 'o')),
      gateUp: matrix(outputsAt(config, 'gateUp')),
      hidden: matrix(config.hiddenDim),
      selected: { qkv: list('qkv'), o: list('o'), gateUp: list('gateUp'), down: list('down') },
      norm: vector(),
    };
    this.#one = this.#viewOf(1);
  }

  /** The workspace of `count` tokens, 1 .. capacity; its contents are those of whoever used it last. */
  rows(count: number): WorkspaceRows {
    return count === 1 ? this.#one : this.#viewOf(count);
  }

  #viewOf(count: number): WorkspaceRows {
    const { ids, positions, x, normed, rstd, qkv, attended, gateUp, hidden, selected, norm } = this.#memory;
    return {
      count,
      ids: firstRows(ids, count),
      positions: firstRows(positions, count),
      x: firstRows(x, count),
      normed: firstRows(normed, count),
      rstd: firstRows(rstd, count),
      qkv: firstRows(qkv, count),
      attended: firstRows(attended, count),
      gateUp: firstRows(gateUp, count),
      hidden: firstRows(hidden, count),
      selected: {
        qkv: firstLists(selected.qkv, count),
        o: firstLists(selected.o, count),
        gateUp: firstLists(selected.gateUp, count),
        down: firstLists(selected.down, count),
      },
      norm: firstRows(norm, count),
      lastX: view(x, [1, x.shape[1]], (count - 1) * x.shape[1]),
      lastNormed: firstRows(normed, 1),
      lastRstd: firstRows(rstd, 1),
    };
  }
}

function firstRows<T extends Tensor>(whole: T, count: number): T {
  return view(whole, [count, ...whole.shape.slice(1)]) as T;
}

function firstLists(whole: SparseRows, count: number): SparseRows {
  return {
    rows: count,
    cols: whole.cols,
    start: view(whole.start, [count + 1]),
    index: view(whole.index, [count * whole.cols]),
    value: view(whole.value, [count * whole.cols]),
  };
}
