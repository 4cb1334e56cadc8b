/**
 * Engine: runs a model on one sequence, token ids in, logits out. The whole forward pass stands here in execution
 * order.
 *
 * Owns the plan of the memory (workspace, key/value cache, rotary tables); the weights belong to the caller. No tape,
 * and no tensor is allocated per token. A prompt goes through in chunks with the many-token products, a single token through
 * the one-token products, which read only the rows of the weights at its non-zero inputs. The rule of the mask is the
 * same at every position: per token, the `kept` largest |x|, no look at other tokens - hence prefill, chunked prefill
 * and token-by-token decoding give the same logits up to the rounding of sums. Source: Q-Sparse (arXiv 2407.10969)
 * section 2; the shape of the page: `forward` in llama2.c's run.c.
 */

import { Arena } from '../arena.ts';
import type { Backend, Kernels } from '../backend.ts';
import { featuresAt, keptCount, type ModelConfig, type Point, sparsityAt } from '../model/config.ts';
import { describeParameters } from '../model/parameters.ts';
import { ropeTables } from '../model/rope-tables.ts';
import { skippingPays } from '../ops/non-zeros.ts';
import { density, nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import { type FloatTensor, type FloatType, shapeText } from '../tensor/tensor.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { KvCache } from './kv-cache.ts';
import { Workspace, type WorkspaceRows } from './workspace.ts';
import { ZeroCounts } from './zero-counts.ts';

/** Prompt tokens per pass: enough that a tile of weights serves many tokens, and the workspace stays small. */
const CHUNK_TOKENS = 256;

/**
 * One token is bound by the bytes of weights, and every zero saves a whole row of them: skipping pays from a few per
 * cent of zeros on, far earlier than in the many-token products (whose crossover is `skippingPays`).
 */
const ONE_TOKEN_CROSSOVER = 0.95;

export interface EngineOptions {
  /** Longest sequence, prompt included: sizes the cache. Default and limit: the model's seqLen. */
  maxTokens?: number;
  /** Factor 0 .. 1 on every sparsity, for a model in the middle of a sparsity schedule. Default 1. */
  sparsityScale?: number;
}

interface LayerWeights extends Record<Point, FloatTensor> {
  attentionNorm: FloatTensor;
  ffnNorm: FloatTensor;
}

export class Engine {
  readonly config: ModelConfig;
  readonly maxTokens: number;
  /** Real zeros of every token since the last `statistics.clear()`. */
  readonly statistics: ZeroCounts;
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #workspace: Workspace;
  readonly #cache: KvCache;
  readonly #layers: readonly LayerWeights[];
  readonly #embedding: FloatTensor;
  readonly #norm: FloatTensor;
  readonly #head: FloatTensor;
  readonly #cos: FloatTensor;
  readonly #sin: FloatTensor;
  readonly #logits: FloatTensor;
  readonly #kept: Record<Point, readonly number[]>;
  #nTokens = 0;

  /**
   * `parameters` by name (`embedding` [V, D], `layers.0.qkv` [D, outputs], ...), input-major, in the backend's memory.
   * Throws ShapeError for a missing parameter or another shape, UsageError for maxTokens out of range.
   */
  constructor(
    config: ModelConfig,
    parameters: ReadonlyMap<string, FloatTensor>,
    backend: Backend,
    options: EngineOptions = {},
  ) {
    const { vocabSize, nLayers, headDim, seqLen } = config;
    this.config = config;
    this.maxTokens = checkMaxTokens(options.maxTokens ?? seqLen, seqLen);
    this.#kernels = backend.kernels;
    this.statistics = new ZeroCounts(config);
    checkParameters(config, parameters);
    const weight = (name: string) => parameters.get(name) as FloatTensor;
    this.#embedding = weight('embedding');
    this.#layers = Array.from({ length: nLayers }, (_, layer) => ({
      attentionNorm: weight(`layers.${layer}.attentionNorm`),
      qkv: weight(`layers.${layer}.qkv`),
      o: weight(`layers.${layer}.o`),
      ffnNorm: weight(`layers.${layer}.ffnNorm`),
      gateUp: weight(`layers.${layer}.gateUp`),
      down: weight(`layers.${layer}.down`),
    }));
    this.#norm = weight('norm');
    this.#head = config.tiedEmbeddings ? this.#embedding : weight('head');
    this.#kept = keptCounts(config, options.sparsityScale ?? 1);

    const dtype: FloatType = this.#embedding.dtype;
    this.#arena = new Arena(backend);
    this.#workspace = new Workspace(config, Math.min(CHUNK_TOKENS, this.maxTokens), dtype, this.#arena);
    this.#cache = new KvCache(config, this.maxTokens, dtype, this.#arena);
    this.#logits = this.#arena.tensor(dtype, [vocabSize]);
    this.#cos = this.#arena.tensor(dtype, [this.maxTokens, headDim / 2]);
    this.#sin = this.#arena.tensor(dtype, [this.maxTokens, headDim / 2]);
    const tables = ropeTables(config, this.maxTokens);
    this.#cos.data.set(tables.cos);
    this.#sin.data.set(tables.sin);
  }

  /** Tokens in the cache: the position of the next one. */
  get position(): number {
    return this.#nTokens;
  }

  /** Bytes of cache and workspace, without the weights. */
  get bytes(): number {
    return this.#arena.bytes;
  }

  /**
   * Appends the ids to the sequence; the logits [V] that follow the last one. They are the engine's own memory, valid
   * until the next call. Throws UsageError for no ids, an id outside the vocabulary, or more than the context holds.
   */
  prefill(ids: readonly number[]): Float32Array | Float64Array {
    this.#checkIds(ids);
    for (let first = 0; first < ids.length; first += this.#workspace.capacity) {
      const rows = this.#workspace.rows(Math.min(this.#workspace.capacity, ids.length - first));
      for (let i = 0; i < rows.count; i++) rows.ids.data[i] = ids[first + i];
      this.#forward(rows);
      if (first + rows.count === ids.length) this.#readLogits(rows);
    }
    return this.#logits.data;
  }

  /** As prefill, for one id. */
  decode(id: number): Float32Array | Float64Array {
    return this.prefill([id]);
  }

  /** Forgets the sequence; weights, memory and statistics stay. */
  reset(): void {
    this.#nTokens = 0;
  }

  /** Frees cache and workspace; the weights are the caller's. */
  dispose(): void {
    this.#arena.free();
  }

  /** The N tokens of `w.ids` at the next N positions, through all blocks: leaves the residual stream in `w.x`. */
  #forward(w: WorkspaceRows): void {
    const { config } = this;
    const kernels = this.#kernels;
    const cache = this.#cache;
    const { nHeads, nKvHeads, headDim, normEps } = config;
    const start = this.#nTokens;
    const rope = { nRotatedHeads: nHeads + nKvHeads, headDim, inverse: false };
    for (let row = 0; row < w.count; row++) w.positions.data[row] = start + row;
    const heads = { nQueries: w.count, start, nHeads, nKvHeads, headDim };

    kernels.embedding(w.ids, this.#embedding, w.x); // [N, D]
    for (let layer = 0; layer < config.nLayers; layer++) {
      const weights = this.#layers[layer];

      kernels.rmsNorm(w.x, weights.attentionNorm, normEps, w.normed, w.rstd);
      this.#project(w, layer, 'qkv', w.normed, w.qkv, false); // [N, (nHeads + 2 nKvHeads) headDim]
      kernels.rope(w.qkv, w.positions, this.#cos, this.#sin, rope);
      cache.write(layer, w.qkv, start);
      kernels.attentionCached(w.qkv, cache.keys[layer], cache.values[layer], w.attended, heads);
      this.#project(w, layer, 'o', w.attended, w.x, true); // x += attended Wo

      kernels.rmsNorm(w.x, weights.ffnNorm, normEps, w.normed, w.rstd);
      this.#project(w, layer, 'gateUp', w.normed, w.gateUp, false); // [N, 2 H]
      kernels.glu(w.gateUp, config.activation, w.hidden); // [N, H]
      this.#project(w, layer, 'down', w.hidden, w.x, true); // x += hidden Wdown
    }
    this.#nTokens += w.count;
    this.statistics.tokens += w.count;
  }

  #readLogits(w: WorkspaceRows): void {
    this.#kernels.rmsNorm(w.lastX, this.#norm, this.config.normEps, w.lastNormed, w.lastRstd);
    this.#kernels.matvecTransposed(w.lastNormed, this.#head, this.#logits);
  }

  /** out [N, outputs] = (selected x) W, or += with accumulate; x is overwritten where the product runs dense. */
  #project(w: WorkspaceRows, layer: number, point: Point, x: FloatTensor, out: FloatTensor, accumulate: boolean): void {
    const weight = this.#layers[layer][point];
    const selected = this.#select(w, layer, point, x);
    if (w.count === 1) {
      if (selected) this.#kernels.sparseMatvec(selected, weight, out, { accumulate });
      else this.#kernels.matvec(x, weight, out, { accumulate });
    } else {
      if (selected) this.#kernels.sparseMatmul(selected, weight, out, { accumulate });
      else this.#kernels.matmul(x, weight, out, { accumulate });
    }
  }

  /**
   * The non-zero inputs of a projection: the top-K selection, or behind ReLU gates the natural non-zeros. null: use
   * x, which then holds the input densely (nothing to select, or too few zeros for skipping to pay).
   */
  #select(w: WorkspaceRows, layer: number, point: Point, x: FloatTensor): SparseRows | null {
    const { statistics } = this;
    const kernels = this.#kernels;
    const rows = w.selected[point];
    const kept = this.#kept[point][layer];
    const rescaled = this.config.rescale === 'l2';
    const gated = point === 'down' && this.config.activation !== 'silu';
    if (kept < rows.cols || (rescaled && !gated)) {
      kernels.selectTopK(x, kept, rows);
      statistics.add(point, layer, gated ? countOpen(rows) : nonZeros(rows));
    } else if (gated) {
      kernels.countNonZeros(x, rows.start);
      statistics.add(point, layer, nonZeros(rows));
      if (!rescaled && !paysToSkip(rows)) return null;
      kernels.gatherNonZeros(x, rows);
    } else {
      statistics.add(point, layer, w.count * rows.cols);
      return null;
    }
    if (rescaled) kernels.rescaleRows(rows, w.norm);
    if (paysToSkip(rows)) return rows;
    kernels.scatterRows(rows, x);
    return null;
  }

  #checkIds(ids: readonly number[]): void {
    if (ids.length === 0) throw new UsageError('engine', 'no tokens to run: expected at least 1 id, got 0.');
    if (this.#nTokens + ids.length > this.maxTokens) {
      throw new UsageError(
        'engine',
        `the context is full: it holds ${this.maxTokens} tokens, ${this.#nTokens} are in it and ${ids.length} more ` +
          'were given. Shorten the text, or use a model with a longer context.',
      );
    }
    for (const id of ids) {
      if (!(Number.isInteger(id) && id >= 0 && id < this.config.vocabSize)) {
        throw new UsageError(
          'engine',
          `token id ${id} is outside the vocabulary: expected 0 .. ${this.config.vocabSize - 1}. ` +
            'Does the tokenizer belong to this model?',
        );
      }
    }
  }
}

function paysToSkip(rows: SparseRows): boolean {
  return rows.rows === 1 ? density(rows) < ONE_TOKEN_CROSSOVER : skippingPays(rows);
}

/** Top-K behind a ReLU gate keeps closed channels where fewer than `kept` are open; those multiply nothing. */
function countOpen(rows: SparseRows): number {
  const count = nonZeros(rows);
  const values = rows.value.data;
  let open = 0;
  for (let i = 0; i < count; i++) if (values[i] !== 0) open++;
  return open;
}

function keptCounts(config: ModelConfig, scale: number): Record<Point, readonly number[]> {
  const at = (point: Point) =>
    Array.from({ length: config.nLayers }, (_, layer) =>
      keptCount(sparsityAt(config, point, layer) * scale, featuresAt(config, point)),
    );
  return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down') };
}

/** Throws ShapeError where a parameter of the configuration is missing or of another shape. */
function checkParameters(config: ModelConfig, parameters: ReadonlyMap<string, FloatTensor>): void {
  for (const { name, shape } of describeParameters(config)) {
    const tensor = parameters.get(name);
    if (tensor && shapeText(tensor.shape) === shapeText(shape)) continue;
    const got = tensor ? shapeText(tensor.shape) : 'none of this name';
    throw new ShapeError('engine', `parameter ${name}: expected ${shapeText(shape)}, got ${got}.`);
  }
}

function checkMaxTokens(maxTokens: number, seqLen: number): number {
  if (Number.isInteger(maxTokens) && maxTokens >= 1 && maxTokens <= seqLen) return maxTokens;
  throw new UsageError(
    'engine',
    `maxTokens must be a whole number from 1 to the model's context of ${seqLen} tokens, got ${maxTokens}.`,
  );
}
