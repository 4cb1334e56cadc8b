/**
 * Workspace: every intermediate of one forward pass over up to `capacity` tokens, allocated once.
 *
 * `rows(first, end)` gives the memory of some rows in their shape. What has been asked for is kept, so that decoding makes no new
 * views. Lists are the exception: a selection is consumed by the product right behind it, so all points and all rows share one
 * memory, from its beginning. Experts of a mixture have a second one, because they take their inputs out of the selection of all tokens.
 */

import { Arena } from '../arena.ts';
import type { Backend } from '../backend.ts';
import { featuresAt, type ModelConfig, outputsAt, POINTS, type Point } from '../model/config.ts';
import type { HeadShape } from '../ops/head-norms.ts';
import { fillHeadOrder } from '../ops/head-order.ts';
import { KV_ITEM_COLUMNS, type KvItems } from '../tensor/kv-slots.ts';
import type { QuantizedRows } from '../tensor/quantized-rows.ts';
import type { BlockRows, SparseRows } from '../tensor/sparse-rows.ts';
import { type IntTensor, type Tensor, view } from '../tensor/tensor.ts';

/** The input of a point, with the forms that a product may take it in. */
export interface PointInput {
  /** The selected or non-zero features. */
  readonly list: SparseRows;
  /** The same memory for a selection in blocks. */
  listOfBlocks(size: number, kept: number): BlockRows;
  /** The same in 8 bits, and all features. */
  readonly quantizedList: QuantizedRows;
  readonly quantizedRows: QuantizedRows;
}

/** The intermediates of N tokens. */
export interface WorkspaceRows {
  /** Of all rows of the run, and N. */
  readonly first: number;
  readonly count: number;
  /** [N] */
  readonly ids: IntTensor;
  readonly positions: IntTensor;
  /** The residual stream, [N, D]. */
  readonly x: Tensor<'f32'>;
  /** Output of either norm of a block, [N, D], and its by-product, [N]. */
  readonly normed: Tensor<'f32'>;
  readonly rstd: Tensor<'f32'>;
  /** Queries, keys and values, [N, (nHeads + 2 nKvHeads) headDim]. */
  readonly qkv: Tensor<'f32'>;
  /** [N] of 0: where a table has one row. */
  readonly firstRow: IntTensor;
  /** Attention output of all heads, [N, nHeads * headDim]. */
  readonly attended: Tensor<'f32'>;
  /** [N, 2 H] */
  readonly gateUp: Tensor<'f32'>;
  /** act(gate) * up, [N, H]. */
  readonly hidden: Tensor<'f32'>;
  readonly inputs: Readonly<Record<Point, PointInput>>;
  /** L2 norms before a re-scale, [N]. */
  readonly norm: Tensor<'f32'>;
  readonly channels: ChannelRows;
  /** Which experts the tokens go to; null without experts. */
  readonly routing: RoutingRows | null;
}

export interface RoutingRows {
  /** [N, E], then the probabilities; [N]. */
  readonly logits: Tensor<'f32'>;
  readonly logSumExp: Tensor<'f32'>;
  /** [N, E]: the chosen experts of each token with their shares, and [E, N], the tokens of each expert. */
  readonly chosen: SparseRows;
  readonly byExpert: SparseRows;
}

/** The M tokens of one expert: `normed` is its input, `x` what it gives back. */
export interface ExpertRows extends WorkspaceRows {
  /** Of the tokens among whom it is chosen: it changes from group to group. */
  first: number;
  /** [M] their rows among all, and the shares of the expert. */
  readonly tokens: IntTensor;
  readonly shares: Tensor<'f32'>;
}

/** Gates first, then open channels only. Shares memory with gateUp and the lists. */
export interface ChannelRows {
  /** [N, H] */
  readonly gate: Tensor<'f32'>;
  /** The open gates, and the list of their positions as an option of a product. */
  readonly open: SparseRows;
  readonly atOpen: { readonly at: SparseRows };
  /** Of open channels in their order: up, then hidden in its place, and that as the input of down. */
  readonly up: Tensor<'f32'>;
  readonly hidden: PointInput;
}

/** The heads of qkv as rows of headDim, for their norms. */
export interface HeadRows {
  /** [N (nHeads + 2 nKvHeads), headDim] */
  readonly all: Tensor<'f32'>;
  /** The kinds in one run each; null for one token, whose heads lie so already. */
  readonly sorting: { readonly order: IntTensor; readonly back: IntTensor; readonly sorted: Tensor<'f32'> } | null;
  /** [N nHeads, headDim] and [N nKvHeads, headDim], of `sorted` or of `all`; the by-products of their norms. */
  readonly q: Tensor<'f32'>;
  readonly k: Tensor<'f32'>;
  readonly qRstd: Tensor<'f32'>;
  readonly kRstd: Tensor<'f32'>;
}

/** More than any mixture of groups of a busy server asks for; a bound on memory, not on speed. */
const MOST_KEPT_VIEWS = 1024;

export class Workspace {
  readonly capacity: number;
  readonly #arena: Arena;
  readonly #logitsArena: Arena;
  readonly #vocabSize: number;
  readonly #widths: Readonly<Record<Point, number>>;
  readonly #memory: ReturnType<typeof takeMemory>;
  readonly #rows = new Map<number, WorkspaceRows>();
  readonly #expertRows: ExpertRows[] = [];
  readonly #heads: HeadRows[] = [];
  readonly #headCounts: HeadShape;
  /** The number of tokens that order and back are filled for. */
  #sortedTokens = 0;
  readonly #items: KvItems[] = [];
  readonly #wanted: IntTensor[] = [];
  #logits: Tensor<'f32'>[] = [];
  #logitsRows = 0;

  /** Room for `capacity` tokens in up to `sequences` sequences, each with the logits of one token; more logits are taken when asked for. */
  constructor(config: ModelConfig, capacity: number, sequences: number, backend: Backend) {
    this.capacity = capacity;
    this.#arena = new Arena(backend);
    this.#logitsArena = new Arena(backend);
    this.#vocabSize = config.vocabSize;
    this.#widths = widthsOf(config);
    this.#headCounts = config;
    this.#memory = takeMemory(config, capacity, sequences, this.#arena);
    this.logits(Math.min(sequences, capacity));
  }

  get bytes(): number {
    return this.#arena.bytes + this.#logitsArena.bytes;
  }

  /** Rows first .. end - 1 of 0 .. capacity; their contents are those of whoever used them last. */
  rows(first: number, end: number): WorkspaceRows {
    const key = first * (this.capacity + 1) + end;
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    if (this.#rows.size === MOST_KEPT_VIEWS) this.#rows.clear();
    const rows = this.#viewOf(first, end - first);
    this.#rows.set(key, rows);
    return rows;
  }

  /** The memory for `count` tokens of one expert, whose numbers count from row `first`. Throws where the model has no experts. */
  expertRows(count: number, first: number): ExpertRows {
    this.#expertRows[count] ??= this.#expertViewOf(count);
    this.#expertRows[count].first = first;
    return this.#expertRows[count];
  }

  /** The heads of the first `count` rows; of a model with norms of heads. */
  heads(count: number): HeadRows {
    this.#heads[count] ??= this.#headsOf(count);
    const { sorting } = this.#heads[count];
    if (sorting && this.#sortedTokens !== count) {
      fillHeadOrder(count, this.#headCounts, sorting.order.data, sorting.back.data);
      this.#sortedTokens = count;
    }
    return this.#heads[count];
  }

  /** The table of `count` items. */
  items(count: number): KvItems {
    this.#items[count] ??= view(this.#memory.items, [count, KV_ITEM_COLUMNS]);
    return this.#items[count];
  }

  /** Numbers of the rows whose logits are wanted. */
  wanted(count: number): IntTensor {
    this.#wanted[count] ??= view(this.#memory.wanted, [count]);
    return this.#wanted[count];
  }

  /** [count, V] */
  logits(count: number): Tensor<'f32'> {
    if (count > this.#logitsRows) {
      this.#logitsArena.free();
      this.#logits = [];
      this.#logitsRows = 0; // until there is memory: the next one asks again
      this.#logits[count] = this.#logitsArena.tensor('f32', [count, this.#vocabSize]);
      this.#logitsRows = count;
    }
    this.#logits[count] ??= view(this.#logits[this.#logitsRows], [count, this.#vocabSize]);
    return this.#logits[count];
  }

  free(): void {
    this.#arena.free();
    this.#logitsArena.free();
  }

  #viewOf(first: number, count: number): WorkspaceRows {
    const { ids, positions, x, normed, rstd, qkv, firstRow, attended, gateUp, hidden, norm } = this.#memory;
    const rowsOf = <T extends Tensor>(whole: T): T => {
      const [, ...rest] = whole.shape;
      return view(whole, [count, ...rest], first * (rest[0] ?? 1)) as T;
    };
    return {
      first,
      count,
      ids: rowsOf(ids),
      positions: rowsOf(positions),
      x: rowsOf(x),
      normed: rowsOf(normed),
      rstd: rowsOf(rstd),
      qkv: rowsOf(qkv),
      firstRow: rowsOf(firstRow),
      attended: rowsOf(attended),
      gateUp: rowsOf(gateUp),
      hidden: rowsOf(hidden),
      norm: rowsOf(norm),
      routing: this.#routingOf(count),
      ...this.#inputsOf(count, this.#memory.lists),
    };
  }

  #expertViewOf(count: number): ExpertRows {
    const { normed, x, tokens, shares, lists } = this.#memory.experts!;
    const rowsOf = (whole: Tensor<'f32'>) => view(whole, [count, whole.shape[1]]);
    return {
      ...this.rows(0, count),
      normed: rowsOf(normed),
      x: rowsOf(x),
      tokens: view(tokens, [count]),
      shares: view(shares, [count]),
      ...this.#inputsOf(count, lists),
    };
  }

  #headsOf(count: number): HeadRows {
    const { nHeads, nKvHeads, headDim } = this.#headCounts;
    const { order, back, sorted, rstd } = this.#memory.heads!;
    const rows = count * (nHeads + 2 * nKvHeads);
    const all = view(this.#memory.qkv, [rows, headDim]);
    const [nQ, nK] = [count * nHeads, count * nKvHeads];
    const sorting =
      count === 1
        ? null
        : { order: view(order, [rows]), back: view(back, [rows]), sorted: view(sorted, [rows, headDim]) };
    const from = sorting?.sorted ?? all;
    return {
      ...{ all, sorting, q: view(from, [nQ, headDim]), k: view(from, [nK, headDim], nQ * headDim) },
      ...{ qRstd: view(rstd, [nQ]), kRstd: view(rstd, [nK], nQ) },
    };
  }

  #routingOf(count: number): RoutingRows | null {
    const { experts } = this.#memory;
    if (experts === null) return null;
    const [, nExperts] = experts.logits.shape;
    return {
      logits: view(experts.logits, [count, nExperts]),
      logSumExp: view(experts.logSumExp, [count]),
      chosen: listOver(experts.chosen, count, nExperts),
      byExpert: listOver(experts.byExpert, nExperts, count),
    };
  }

  /** The forms of the inputs of all points, in one memory. */
  #inputsOf(count: number, lists: ListMemory): Pick<WorkspaceRows, 'inputs' | 'channels'> {
    const ofPoint = (point: Point) => [point, this.#inputOf(count, this.#widths[point], lists)];
    const inputs = Object.fromEntries(POINTS.map(ofPoint)) as Record<Point, PointInput>;
    return { inputs, channels: this.#channelsOf(count, lists) };
  }

  #channelsOf(count: number, lists: ListMemory): ChannelRows {
    const { gateUp } = this.#memory;
    const width = this.#widths.down;
    const open = listOver(lists, count, width);
    const up = view(gateUp, [count * width], this.capacity * width);
    const hidden = this.#inputOf(count, width, lists, { ...open, value: up });
    return { gate: view(gateUp, [count, width]), open, atOpen: { at: open }, up, hidden };
  }

  #inputOf(count: number, cols: number, lists: ListMemory, list = listOver(lists, count, cols)): PointInput {
    const { bytes, scale } = lists.quantized;
    const shape = { rows: count, cols, value: view(bytes, [count * cols]), scale: view(scale, [count]) };
    const { start, index } = list;
    return {
      list,
      listOfBlocks: this.#blockLists(list),
      quantizedList: { ...shape, start, index },
      quantizedRows: { ...shape, start: null, index: null },
    };
  }

  /** By the number that is kept: a model has blocks of one size. */
  #blockLists(list: SparseRows): PointInput['listOfBlocks'] {
    const byKept: BlockRows[] = [];
    return (size, kept) => {
      byKept[kept] ??= { ...list, blocks: { size, kept, place: this.#memory.places! } };
      return byKept[kept];
    };
  }
}

function listOver({ start, index, value }: Omit<ListMemory, 'quantized'>, rows: number, cols: number): SparseRows {
  const elements = [Math.min(rows * cols, index.data.length)];
  return { rows, cols, start: view(start, [rows + 1]), index: view(index, elements), value: view(value, elements) };
}

function widthsOf(config: ModelConfig): Record<Point, number> {
  const widths = POINTS.map((point) => [point, featuresAt(config, point)]);
  return Object.fromEntries(widths) as Record<Point, number>;
}

function widestOf(config: ModelConfig): number {
  return Math.max(...Object.values(widthsOf(config)));
}

function takeMemory(config: ModelConfig, capacity: number, sequences: number, arena: Arena) {
  const matrix = (features: number) => arena.tensor('f32', [capacity, features]);
  const vector = () => arena.tensor('f32', [capacity]);
  return {
    ids: arena.tensor('i32', [capacity]),
    positions: arena.tensor('i32', [capacity]),
    x: matrix(config.dim),
    normed: matrix(config.dim),
    rstd: vector(),
    qkv: matrix(outputsAt(config, 'qkv')),
    firstRow: zeroed(arena.tensor('i32', [capacity])),
    heads: config.qkNorm ? takeHeads(config, capacity, arena) : null,
    attended: matrix(featuresAt(config, 'o')),
    gateUp: matrix(outputsAt(config, 'gateUp')),
    hidden: matrix(config.hiddenDim),
    norm: vector(),
    places: config.sparsifier === 'block' ? arena.tensor('u8', [capacity * widestOf(config)]) : null,
    lists: takeLists(config, capacity, arena),
    experts: config.nExperts > 0 ? takeExperts(config, capacity, arena) : null,
    items: arena.tensor('i32', [sequences, KV_ITEM_COLUMNS]),
    wanted: arena.tensor('i32', [capacity]),
  };
}

function zeroed(tensor: IntTensor): IntTensor {
  tensor.data.fill(0);
  return tensor;
}

function takeHeads({ nHeads, nKvHeads, headDim }: HeadShape, capacity: number, arena: Arena) {
  const heads = capacity * (nHeads + 2 * nKvHeads);
  return {
    order: arena.tensor('i32', [heads]),
    back: arena.tensor('i32', [heads]),
    sorted: arena.tensor('f32', [heads, headDim]),
    rstd: arena.tensor('f32', [heads]),
  };
}

/** A list, and what of it or of dense rows is in 8 bits. */
interface ListMemory {
  readonly start: IntTensor;
  readonly index: IntTensor;
  readonly value: Tensor<'f32'>;
  readonly quantized: { readonly bytes: Tensor<'i8'>; readonly scale: Tensor<'f32'> };
}

function takeLists(config: ModelConfig, capacity: number, arena: Arena): ListMemory {
  const widest = capacity * widestOf(config);
  return {
    ...takeList(capacity, widest, arena),
    quantized: { bytes: arena.tensor('i8', [widest]), scale: arena.tensor('f32', [capacity]) },
  };
}

function takeList(rows: number, elements: number, arena: Arena): Omit<ListMemory, 'quantized'> {
  return {
    start: arena.tensor('i32', [rows + 1]),
    index: arena.tensor('i32', [elements]),
    value: arena.tensor('f32', [elements]),
  };
}

/** One expert runs at a time, and no more tokens go to it than there are. */
function takeExperts(config: ModelConfig, capacity: number, arena: Arena) {
  const { nExperts, nExpertsPerToken, dim } = config;
  const choices = capacity * nExpertsPerToken;
  return {
    logits: arena.tensor('f32', [capacity, nExperts]),
    logSumExp: arena.tensor('f32', [capacity]),
    chosen: takeList(capacity, choices, arena),
    byExpert: takeList(nExperts, choices, arena),
    tokens: arena.tensor('i32', [capacity]),
    shares: arena.tensor('f32', [capacity]),
    normed: arena.tensor('f32', [capacity, dim]),
    x: arena.tensor('f32', [capacity, dim]),
    lists: takeLists(config, capacity, arena),
  };
}
