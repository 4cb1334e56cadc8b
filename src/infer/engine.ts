/**
 * Engine: runs a model on many sequences at once, token ids in, logits out. The whole forward pass stands here in execution
 * order.
 *
 * Owns the plan of the memory (workspace, key/value cache, rotary tables); the weights belong to the caller. No tape, and no tensor is
 * allocated per token. The tokens of all sequences of a batch go through the projections as one matrix of rows; attention looks at each
 * row's own sequence. The rule of the mask is the same at every position: per token, the `kept` largest |x|, no look at other
 * tokens. So a token's result does not depend on what is run beside it: for int8 and ternary weights not in a single bit, for
 * f32 and bf16 up to the rounding of sums, whose order depends on how many rows a product has. Source: Q-Sparse (arXiv 2407.10969)
 * section 2; the shape of the page: `forward` in llama2.c's run.c.
 */

import { Arena } from '../arena.ts';
import type { Backend, Kernels, RowNorm } from '../backend.ts';
import { type ModelConfig, POINTS, type Point } from '../model/config.ts';
import { ropeTables } from '../model/rope-tables.ts';
import { ALL, gateThreshold, isSameRule } from '../model/selection-rule.ts';
import { selectionRules } from '../model/sparsity-override.ts';
import {
  checkWeights,
  type FfnWeights,
  isByChannel,
  type MixtureWeights,
  type ModelWeights,
} from '../model/weights.ts';
import type { KvType } from '../tensor/kv-slots.ts';
import { nonZeros, type SparseRows } from '../tensor/sparse-rows.ts';
import { type Tensor, view } from '../tensor/tensor.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import { UsageError } from '../util/errors.ts';
import { checkBatch } from './check-batch.ts';
import { EngineSequence, type KeptTable } from './engine-sequence.ts';
import { KvCache } from './kv-cache.ts';
import { logitsRows, type PlacedBatch, placeBatch, type RowGroup } from './place-batch.ts';
import { ADD, OVERWRITE, Projector } from './projector.ts';
import { RowWeights } from './row-weights.ts';
import type { BatchItem, SequenceOptions, TokenModel, TokenSequence } from './token-model.ts';
import { type ExpertRows, Workspace, type WorkspaceRows } from './workspace.ts';
import { ZeroCounts } from './zero-counts.ts';

/** Enough that a tile of weights serves many tokens of a prompt, and the workspace stays small. */
const DEFAULT_BATCH_TOKENS = 256;

/** Tokens of one `run` where nobody says how many: no more than all sequences can hold. */
export function defaultBatchTokens(maxTokens: number, maxSequences: number): number {
  return Math.min(DEFAULT_BATCH_TOKENS, maxTokens * maxSequences);
}

export interface EngineOptions {
  /** Longest sequence, prompt included: sizes the cache. Default and limit: the model's seqLen. */
  maxTokens?: number;
  /** Sequences at the same time. Default 1. */
  maxSequences?: number;
  /** Tokens of one `run`, all sequences together. Default 256, or all that the sequences can hold where that is less. */
  maxBatchTokens?: number;
  /** How keys and values are stored. Default f32. */
  kvType?: KvType;
  /** Factor 0 .. 1 on every sparsity or threshold, for a model in the middle of a sparsity schedule. Default 1. */
  sparsityScale?: number;
  /** false: the zeros behind closed ReLU gates are multiplied like any number, as a dense program does. Default true. */
  skipNaturalZeros?: boolean;
  /** false: all hidden activations go into down, whatever the model selects there; for counting open gates. Default true. */
  selectHidden?: boolean;
}

export class Engine implements TokenModel {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly maxTokens: number;
  readonly maxSequences: number;
  readonly maxBatchTokens: number;
  /** Real zeros of every token since the last `statistics.clear()`. */
  readonly statistics: ZeroCounts;
  readonly weightUse: RowWeights;
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #workspace: Workspace;
  readonly #cache: KvCache;
  readonly #projector: Projector;
  readonly #cos: Tensor<'f32'>;
  readonly #sin: Tensor<'f32'>;
  readonly #sparsityScale: number;
  readonly #kept: KeptTable;
  /** By layer, as tables of one row; null for none. */
  readonly #biases: readonly (Tensor<'f32'> | null)[];
  /** By layer: the norms in front of its halves. */
  readonly #norms: readonly { readonly attention: RowNorm; readonly ffn: RowNorm }[];
  /** By layer; 0 for none. */
  readonly #gateThresholds: readonly number[];
  /** By slot. */
  readonly #sequences: (EngineSequence | null)[];

  /**
   * `weights` in the backend's memory. Throws ShapeError where they do not fit the configuration, UsageError for options out of range and
   * for weights by channel where closed gates are not to be skipped.
   */
  constructor(config: ModelConfig, weights: ModelWeights, backend: Backend, options: EngineOptions = {}) {
    const { maxTokens = config.seqLen, maxSequences = 1, sparsityScale = 1, skipNaturalZeros = true } = options;
    checkCount('maxTokens', maxTokens, config.seqLen, "the model's context");
    checkCount('maxSequences', maxSequences, Infinity);
    const maxBatchTokens = options.maxBatchTokens ?? defaultBatchTokens(maxTokens, maxSequences);
    checkCount('maxBatchTokens', maxBatchTokens, Infinity);
    checkWeights(config, weights);
    if (!skipNaturalZeros) checkFused(weights);
    this.config = config;
    this.weights = weights;
    this.maxTokens = maxTokens;
    this.maxSequences = maxSequences;
    this.maxBatchTokens = maxBatchTokens;
    this.weightUse = new RowWeights(config, maxBatchTokens);
    this.statistics = new ZeroCounts(config, this.weightUse, isByChannel(weights));
    this.#kernels = backend.kernels;
    this.#projector = new Projector(config, backend.kernels, this.statistics, skipNaturalZeros);
    this.#sparsityScale = sparsityScale;
    const rules = selectionRules(config, undefined, sparsityScale);
    this.#kept = options.selectHidden === false ? { ...rules, down: rules.down.map(() => ALL) } : rules;
    this.#gateThresholds = rules.down.map((_, layer) => gateThreshold(config, layer, sparsityScale));
    this.#biases = weights.layers.map(({ qkvBias }) => qkvBias && view(qkvBias, [1, qkvBias.data.length]));
    this.#norms = weights.layers.map(({ attentionNorm, ffnNorm }) => ({
      attention: { weight: attentionNorm, eps: config.normEps },
      ffn: { weight: ffnNorm, eps: config.normEps },
    }));
    this.#sequences = new Array<null>(maxSequences).fill(null);

    this.#arena = new Arena(backend);
    this.#workspace = new Workspace(config, maxBatchTokens, maxSequences, backend);
    const type = options.kvType ?? 'f32';
    this.#cache = new KvCache(config, { type, slots: maxSequences, maxTokens, maxBatchTokens }, this.#arena);
    this.#cos = this.#arena.tensor('f32', [maxTokens, config.headDim / 2]);
    this.#sin = this.#arena.tensor('f32', [maxTokens, config.headDim / 2]);
    const tables = ropeTables(config, maxTokens);
    this.#cos.data.set(tables.cos);
    this.#sin.data.set(tables.sin);
  }

  get vocabSize(): number {
    return this.config.vocabSize;
  }

  /** Bytes of cache and workspace, without the weights. */
  get bytes(): number {
    return this.#arena.bytes + this.#workspace.bytes;
  }

  /** Bytes of keys and values that attention reads for each position that a token looks back on. */
  get kvBytesPerPosition(): number {
    return this.#cache.bytesPerPosition;
  }

  createSequence({ sparsity }: SequenceOptions = {}): TokenSequence {
    const kept = sparsity === undefined ? this.#kept : selectionRules(this.config, sparsity, this.#sparsityScale);
    const slot = this.#sequences.indexOf(null);
    if (slot < 0) {
      throw new UsageError(
        'engine',
        `all ${this.maxSequences} sequences are in use. Release one, or make the engine with a larger maxSequences.`,
      );
    }
    const sequence = new EngineSequence(slot, this.#shared(kept), this.#cache, () => {
      this.#sequences[slot] = null;
    });
    this.#sequences[slot] = sequence;
    return sequence;
  }

  run(batch: readonly BatchItem[]): readonly Float32Array[] {
    const items = checkBatch(batch, this, (sequence) => this.#ownOf(sequence));
    if (items.length === 0) return [];
    const placed = placeBatch(items, this.#workspace);
    const counts = items.map(({ ids }) => ids.length);
    this.weightUse.begin(placed.firstRows, counts);
    this.#forward(placed);
    const logits = this.#logits(placed);
    for (const { sequence, ids } of items) sequence.append(ids.length);
    this.statistics.tokens += placed.rows;
    let first = 0;
    return items.map((item) => {
      const begin = first;
      first += logitsRows(item) * this.vocabSize;
      return logits.subarray(begin, first);
    });
  }

  /** Frees cache and workspace; the weights are the caller's. No sequence may be used afterwards. */
  dispose(): void {
    this.#workspace.free();
    this.#arena.free();
  }

  /** The rows of all items through all blocks: leaves the residual stream in `x` of the workspace. */
  #forward({ rows, items, groups }: PlacedBatch): void {
    const { config, weights } = this;
    const kernels = this.#kernels;
    const { window } = this.#cache;
    const { nHeads, nKvHeads, headDim, normEps } = config;
    const rotation = { nRotatedHeads: nHeads + nKvHeads, headDim, inverse: false };
    const w = this.#workspace.rows(0, rows);

    kernels.weightRows(w.ids, weights.embedding, w.x); // [N, D]
    for (const [layer, { qkv, qNorm, kNorm, attentionSubNorm, o, feedForward }] of weights.layers.entries()) {
      const norms = this.#norms[layer];
      const bias = this.#biases[layer];
      const cached = this.#cache.layers[layer];

      if (bias) kernels.embedding(w.firstRow, bias, w.qkv); // the product is added to it
      this.#project(groups, layer, 'qkv', 'x', norms.attention, qkv, 'qkv', bias ? ADD : OVERWRITE); // [N, (nHeads + 2 nKvHeads) headDim]
      if (qNorm && kNorm) this.#normHeads(rows, qNorm, kNorm);
      kernels.rope(w.qkv, w.positions, this.#cos, this.#sin, rotation);
      kernels.storeKv(w.qkv, items, cached);
      kernels.attentionCached(w.qkv, items, cached, window, w.attended); // [N, nHeads headDim]
      if (attentionSubNorm) kernels.rmsNorm(w.attended, attentionSubNorm, normEps, w.attended, w.rstd);
      this.#project(groups, layer, 'o', 'attended', null, o, 'x', ADD); // x += attended Wo

      if (feedForward.layout === 'fused') {
        this.#project(groups, layer, 'gateUp', 'x', norms.ffn, feedForward.gateUp, 'gateUp', OVERWRITE); // [N, 2 H]
        kernels.glu(w.gateUp, config.activation, w.hidden, this.#gateThresholds[layer]); // [N, H]
        if (feedForward.subNorm) kernels.rmsNorm(w.hidden, feedForward.subNorm, normEps, w.hidden, w.rstd);
        this.#project(groups, layer, 'down', 'hidden', null, feedForward.down, 'x', ADD); // x += hidden Wdown
      } else {
        kernels.rmsNorm(w.x, norms.ffn.weight, normEps, w.normed, w.rstd);
        if (feedForward.layout === 'channels') this.#feedForwardByChannel(groups, layer, feedForward);
        else this.#mixture(groups, layer, feedForward);
      }
    }
  }

  /** RMSNorm of each head of q and of k in `qkv` of the workspace, sorted by kind on the way where there are several tokens. */
  #normHeads(rows: number, qNorm: Tensor<'f32'>, kNorm: Tensor<'f32'>): void {
    const kernels = this.#kernels;
    const { normEps } = this.config;
    const { all, sorting, q, k, qRstd, kRstd } = this.#workspace.heads(rows);
    if (sorting) kernels.embedding(sorting.order, all, sorting.sorted);
    kernels.rmsNorm(q, qNorm, normEps, q, qRstd);
    kernels.rmsNorm(k, kNorm, normEps, k, kRstd);
    if (sorting) kernels.embedding(sorting.back, sorting.sorted, all);
  }

  /** to (or +=) what a point keeps of `from`, or of its norm, times the weights: in one product where all rows keep as many features. */
  #project(
    groups: readonly RowGroup[],
    layer: number,
    point: Point,
    from: 'x' | 'attended' | 'hidden',
    norm: RowNorm | null,
    weight: WeightMatrix,
    to: 'qkv' | 'gateUp' | 'x',
    mode: { readonly accumulate: boolean },
  ): void {
    for (let group = 0; group < groups.length; ) {
      const { first, kept } = groups[group];
      const wanted = kept[point][layer];
      while (group < groups.length && isSameRule(groups[group].kept[point][layer], wanted)) group++;
      const w = this.#workspace.rows(first, groups[group - 1].end);
      this.#projector.project(w, layer, point, wanted, w[from], norm, weight, w[to], mode);
    }
  }

  /** x += hidden Wdown with the gates first, then all that follows at the open ones only. */
  #feedForwardByChannel(groups: readonly RowGroup[], layer: number, weights: ByChannel): void {
    for (const { first, end, kept } of groups) {
      const w = this.#workspace.rows(first, end);
      const list = this.#projector.select(w, layer, 'gateUp', kept.gateUp[layer], w.normed, weights.gate.dtype);
      this.#byChannel(w, layer, kept, list, weights, ADD);
    }
  }

  /** x = (or +=) hidden Wdown from the normed rows and the list of what is selected of them, which it overwrites. */
  #byChannel(
    w: WorkspaceRows,
    layer: number,
    kept: KeptTable,
    list: SparseRows | null,
    weights: ByChannel,
    mode: { readonly accumulate: boolean },
  ): void {
    const projector = this.#projector;
    const { gate, open, atOpen, up, hidden } = w.channels;
    projector.multiply(w.inputs.gateUp, list, w.normed, weights.gate, gate, OVERWRITE); // [N, H]
    const inputsEach = list === null ? w.normed.shape[1] : nonZeros(list) / list.rows;
    if (list !== null) this.#kernels.scatterRows(list, w.normed); // a channel of up meets the whole selected row
    projector.listOpenGates(gate, open);
    this.statistics.addChannels(layer, w, open.start, inputsEach);
    projector.dots(w.inputs.gateUp, w.normed, weights.up, up, atOpen);
    this.#kernels.gluRows(open, up, this.config.activation, up);
    if (weights.subNorm)
      this.#kernels.rmsNormRows(hidden.list, weights.subNorm, this.config.normEps, hidden.list.value, w.rstd);

    const selected = projector.selectListed(w, layer, kept.down[layer], hidden.list, w.hidden, weights.down.dtype);
    const input = selected === hidden.list ? hidden : w.inputs.down;
    projector.multiply(input, selected, w.hidden, weights.down, w.x, mode);
  }

  /** x += for each token the sum over the experts that its router chooses of share * expert. An expert runs once for all of its tokens. */
  #mixture(groups: readonly RowGroup[], layer: number, { router, experts }: MixtureWeights): void {
    const kernels = this.#kernels;
    for (const { first, end, kept } of groups) {
      const w = this.#workspace.rows(first, end);
      const { logits, logSumExp, chosen, byExpert } = w.routing!;
      kernels.weightDots(w.normed, router, logits); // [N, E], from what is not selected
      kernels.routeTokens(logits, this.config.nExpertsPerToken, chosen, logSumExp);
      kernels.transposeRows(chosen, byExpert); // [E, N]

      const dtype = experts[0].down.dtype;
      const selected = this.#projector.select(w, layer, 'gateUp', kept.gateUp[layer], w.normed, dtype);
      for (let expert = 0; expert < experts.length; expert++) {
        const e = this.#tokensOf(byExpert, expert, first);
        if (e === null) continue;
        this.statistics.addChoices(layer, expert, e.count);
        const list = selected === null ? null : e.inputs.gateUp.list;
        if (selected === null || list === null) kernels.embedding(e.tokens, w.normed, e.normed);
        else kernels.gatherRows(selected, e.tokens, list);
        this.#expert(e, layer, kept, list, experts[expert]);
        kernels.addRowsAt(e.x, e.shares, e.tokens, w.x);
      }
    }
  }

  /** The rows of an expert's tokens, their numbers and shares filled in; null where no token chose it. */
  #tokensOf({ start, index, value }: SparseRows, expert: number, firstRow: number): ExpertRows | null {
    const first = start.data[expert];
    const count = start.data[expert + 1] - first;
    if (count === 0) return null;
    const rows = this.#workspace.expertRows(count, firstRow);
    for (let i = 0; i < count; i++) {
      rows.tokens.data[i] = index.data[first + i];
      rows.shares.data[i] = value.data[first + i];
    }
    return rows;
  }

  /** x [M, D] = one expert on its normed rows, or on the list of what is selected of them. */
  #expert(e: ExpertRows, layer: number, kept: KeptTable, list: SparseRows | null, weights: FfnWeights): void {
    if (weights.layout === 'channels') {
      this.#byChannel(e, layer, kept, list, weights, OVERWRITE);
      return;
    }
    const projector = this.#projector;
    projector.multiply(e.inputs.gateUp, list, e.normed, weights.gateUp, e.gateUp, OVERWRITE); // [M, 2 H]
    this.#kernels.glu(e.gateUp, this.config.activation, e.hidden, this.#gateThresholds[layer]); // [M, H]
    if (weights.subNorm) this.#kernels.rmsNorm(e.hidden, weights.subNorm, this.config.normEps, e.hidden, e.rstd);
    const hidden = projector.select(e, layer, 'down', kept.down[layer], e.hidden, weights.down.dtype);
    projector.multiply(e.inputs.down, hidden, e.hidden, weights.down, e.x, OVERWRITE);
  }

  /** The logits of the wanted rows, one after the other: the last norm and the head see no others. */
  #logits({ rows, wanted, wantsAll }: PlacedBatch): Float32Array {
    const count = wanted.data.length;
    const logits = this.#workspace.logits(count);
    if (count === 0) return logits.data;
    const all = this.#workspace.rows(0, rows);
    const w = this.#workspace.rows(0, count);
    const { norm, head } = this.weights;
    let normed = w.normed;
    if (wantsAll) {
      this.#kernels.rmsNorm(w.x, norm, this.config.normEps, normed, w.rstd);
    } else {
      this.#kernels.embedding(wanted, all.x, w.normed); // the wanted rows of x, then back into the memory of x
      normed = w.x;
      this.#kernels.rmsNorm(w.normed, norm, this.config.normEps, normed, w.rstd);
    }
    this.#projector.dots(w.inputs.qkv, normed, head, logits); // [wanted, V]
    return logits.data;
  }

  #ownOf(sequence: TokenSequence): EngineSequence | null {
    return this.#sequences.find((own) => own === sequence) ?? null;
  }

  /** Sequences that keep the same share one table, so that a look at it tells that one product serves both. */
  #shared(kept: KeptTable): KeptTable {
    const tables = [this.#kept, ...this.#sequences.flatMap((sequence) => (sequence === null ? [] : [sequence.kept]))];
    const same = (table: KeptTable) =>
      POINTS.every((point) => table[point].every((rule, layer) => isSameRule(rule, kept[point][layer])));
    return tables.find(same) ?? kept;
  }
}

type ByChannel = Extract<FfnWeights, { layout: 'channels' }>;

function checkCount(name: string, count: number, limit: number, limitName = ''): void {
  if (Number.isInteger(count) && count >= 1 && count <= limit) return;
  const range = limit === Infinity ? 'of at least 1' : `from 1 to ${limitName} of ${limit} tokens`;
  throw new UsageError('engine', `${name} must be a whole number ${range}, got ${count}.`);
}

/** Dense is measured against the layout that is best for it. */
function checkFused(weights: ModelWeights): void {
  if (!isByChannel(weights)) return;
  throw new UsageError(
    'engine',
    'weights by channel are stored for skipping closed gates: with skipNaturalZeros false, give gate and up fused.',
  );
}
