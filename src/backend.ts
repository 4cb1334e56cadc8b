/**
 * The Backend interface: memory and the kernel table. Everything above this file runs on any backend unchanged.
 *
 * Conventions of all kernels
 * - Matrices are row-major and contiguous. `N` is the number of tokens (batch x time, flattened). Letters: docs/notation.md.
 * - Outputs are written whole (no need to clear them) unless the kernel says `accumulate` or `+=`.
 * - Weights of projections are input-major: [in, out].
 * - Results are bit-identical for any number of threads: no kernel divides a sum by the number of threads.
 * - Shapes are checked by `check-kernels.ts` around every backend; inside a kernel they are trusted.
 * - The float dtype is f32; the reference backend takes f64 as well (all tensors of a call alike).
 */

import type { BlockMoments } from './tensor/block-moments.ts';
import type { KvItems, KvSlots } from './tensor/kv-slots.ts';
import type { QuantizedRows } from './tensor/quantized-rows.ts';
import type { BlockRows, SparseRows } from './tensor/sparse-rows.ts';
import type { DataOf, DType, FloatTensor, IntTensor, Tensor } from './tensor/tensor.ts';
import type { TernaryScale } from './tensor/ternary.ts';
import type { WeightMatrix } from './tensor/weight-matrix.ts';

/** The gate of the feed-forward: relu(g)^2 * u, relu(g) * u, silu(g) * u. */
export type Activation = 'relu2' | 'relu' | 'silu';

/**
 * What a product multiplies: its operands as they are, or each rounded to bf16 first (8 significant bits, to nearest, ties to
 * even; NaN and infinities stay). Sums are f32 in both; tensors in memory are never bf16.
 */
export type Precision = 'f32' | 'bf16';

export interface MatmulOptions {
  /** a is stored [k, m] instead of [m, k]. */
  transposeA?: boolean;
  /** b is stored [n, k] instead of [k, n]. */
  transposeB?: boolean;
  /** out += a b instead of out = a b. */
  accumulate?: boolean;
  /** b [k, wide] and out [m, wide] are as wide as each other, and only these columns take part; not with transposeB. */
  columns?: ColumnRange;
  /** 'f32' where left out. Every backend computes 'bf16'; it is fast only where `Backend.bf16` is true. */
  precision?: Precision;
}

/**
 * The input of a product with a WeightMatrix, [N, k]: dense or the list of a selection for f32 and bf16 weights (products and sums in
 * f32), quantised for int8 and ternary ones (sums in i32, exact for any k up to 2^17; then out = (sum over groups of sum * wScale) * xScale).
 */
export type WeightInput = Tensor<'f32'> | SparseRows | QuantizedRows;

/** RMSNorm of rows [N, D]: weight [D], and what is added to the mean of squares. */
export interface RowNorm {
  readonly weight: Tensor<'f32'>;
  readonly eps: number;
}

export interface ColumnRange {
  readonly first: number;
  readonly count: number;
}

export interface AttentionShape {
  batch: number;
  seqLen: number;
  nHeads: number;
  nKvHeads: number;
  headDim: number;
}

export interface RopeShape {
  /** Heads rotated in each row, from column 0 (queries, then keys); the columns behind them are left alone. */
  nRotatedHeads: number;
  headDim: number;
  /** true: the backward rotation (the transpose). */
  inverse: boolean;
}

export interface DivergenceOptions {
  /** Of both softmaxes, above 0. */
  temperature: number;
  /** null: no gradient. */
  scale: number | null;
}

export interface AdamWStep {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled: p *= 1 - lr * weightDecay before the update. */
  weightDecay: number;
  /** Number of this step, from 1, for the bias corrections. */
  step: number;
  /** Every gradient is multiplied by this first (clipping, 1 / accumulation steps). */
  gradientScale: number;
}

export interface Kernels {
  // ---- products -----------------------------------------------------------------------------------------------------
  /** out [m, n] = a [m, k] b [k, n]; dense. */
  matmul(a: FloatTensor, b: FloatTensor, out: FloatTensor, options?: MatmulOptions): void;
  /**
   * out [m, n] = a [m, k] b [k, n] (or b stored [n, k]); only the non-zeros of a are multiplied. A list that comes out even in blocks gives the
   * same bits as without them, faster.
   */
  sparseMatmul(a: SparseRows, b: FloatTensor, out: FloatTensor, options?: Omit<MatmulOptions, 'transposeA'>): void;
  /**
   * The elements of a [m, k] b^T (b stored [n, k]) at the positions of `at` [m, n], in its order: out [nonZeros(at)]. The
   * values of `at` are not read.
   */
  sampledMatmul(a: FloatTensor, b: FloatTensor, at: SparseRows, out: FloatTensor): void;

  // ---- products with weights as inference stores them (WeightMatrix) --------------------------------------------------
  /**
   * out [N, n] = x [N, k] w [k, n], each token on its own: the rows of w at its non-zeros are streamed from memory. For one token and a
   * few. With scaleAxis 'cols' (or no scales). A row of out has the same bits as that token alone, and as `weightMatmul` for int8 and ternary, while all
   * weights are finite: a row of w that is not may reach the tokens beside the one that reads it.
   * With `accumulate` out, a residual that may be far larger than the terms, is rounded once: when the sum is complete (int8: that of a group).
   */
  weightMatvec(x: WeightInput, w: WeightMatrix, out: Tensor<'f32'>, options?: { accumulate?: boolean }): void;
  /**
   * The same product for many tokens: tiles of w are unpacked once, and all tokens pass over them. Dense x with f32 and bf16 weights takes the product of
   * training, which adds to out after each 256 inputs.
   */
  weightMatmul(x: WeightInput, w: WeightMatrix, out: Tensor<'f32'>, options?: { accumulate?: boolean }): void;
  /**
   * Dot products with the rows of w [n, k] (scaleAxis 'rows' or no scales): out [N, n] = x w^T. With `at` [N, n] only its elements, in its
   * order: out [nonZeros(at) or more] (the output head; `up` behind open gates). The values of `at` are not read. x is dense.
   */
  weightDots(x: WeightInput, w: WeightMatrix, out: Tensor<'f32'>, options?: { at?: SparseRows }): void;
  /** out [N, n] = the rows of w (scaleAxis 'rows' or no scales) at ids [N], as f32: the embedding of stored weights. */
  weightRows(ids: IntTensor, w: WeightMatrix, out: Tensor<'f32'>): void;
  /**
   * 8-bit activations: value = x * (127 / (max |x| + 1e-5)) rounded to nearest, ties to even, scale = max |x| / 127 of each row, in f32. A
   * list stays a list (out shares its start and index). A row with NaN or infinity has a scale of NaN, its values are undefined.
   * Source: Q-Sparse (arXiv 2407.10969) eq. 5 - 7; the scale: BitNet a4.8 (arXiv 2411.04965) eq. 3.
   */
  quantizeRows(x: Tensor<'f32'> | SparseRows, out: QuantizedRows): void;

  // ---- selection and lists ------------------------------------------------------------------------------------------
  /**
   * The `kept` largest |x| of each row of x [N, D], ties to the lower index, in ascending order of the index. Exactly
   * `kept` per row whatever the values (NaN counts as the largest). `out.index` and `out.value` hold N * kept; out.start is written too.
   * Source: Q-Sparse (arXiv 2407.10969) eq. 3.
   */
  selectTopK(x: FloatTensor, kept: number, out: SparseRows): void;
  /**
   * What stands in front of a product of inference, in one pass over each row of x [N, D]: rmsNorm where `norm` is given, selectTopK of that, and
   * quantizeRows of the list where `quantized` is given; the bits of the three one after the other. x stays as it is. With a norm D is at most 2^18.
   */
  selectInput(
    x: Tensor<'f32'>,
    norm: RowNorm | null,
    kept: number,
    out: SparseRows,
    quantized: QuantizedRows | null,
  ): void;
  /**
   * The `out.blocks.kept` largest |x| of each block of `out.blocks.size` (2 .. 256, divides D) consecutive features of x [N, D], by the rules of
   * selectTopK. Index, value and place of out hold N * D / size * kept; out.start is written too. Source: Q-Sparse, Block Q-Sparse (N:M).
   */
  selectBlockTopK(x: FloatTensor, out: BlockRows): void;
  /**
   * start [N + 1] = running count of the values of x [N, D] that are not 0 (NaN is not 0; -0 is), or with a threshold above 0, rounded to
   * f32, of those with |x| not below it.
   */
  countNonZeros(x: FloatTensor, start: IntTensor, threshold?: number): void;
  /** Fills index and value from x [N, D]; out.start must come from countNonZeros of the same x and threshold. */
  gatherNonZeros(x: FloatTensor, out: SparseRows, threshold?: number): void;
  /** start [at.rows + 1] = running count of the elements of `at` whose x [nonZeros(at) or more], in its order, is not <= 0 (NaN counts). */
  countPositiveAt(at: SparseRows, x: FloatTensor, start: IntTensor): void;
  /** Fills index and value of out from those elements of `at`, and outX [nonZeros(out)] from x; out.start must come from countPositiveAt of the same. */
  gatherPositiveAt(at: SparseRows, x: FloatTensor, out: SparseRows, outX: FloatTensor): void;
  /** out = the transpose of a, columns (rows of a) ascending. out.start is written too. */
  transposeRows(a: SparseRows, out: SparseRows): void;
  /** out [rows, cols] = a with its zeros written out. */
  scatterRows(a: SparseRows, out: FloatTensor): void;
  /** out [nonZeros(at)] = x [rows, wide] at the positions of `at`, its columns counted from `first` on; in the order of `at`. */
  gatherAt(x: FloatTensor, first: number, at: SparseRows, out: FloatTensor): void;
  /** out [rows, cols] = x where `at` has an element, else 0 (the masked gradient). x and out may be one tensor. */
  maskRows(x: FloatTensor, at: SparseRows, out: FloatTensor): void;
  /**
   * value = value / (norm + 1e-6) * sqrt(cols) in place, norm [rows] = the L2 norm of each row before.
   * Source: Q-Sparse section 2.1 ("re-scale the tensor by its L2 norm"), with sqrt(cols) for unit RMS.
   */
  rescaleRows(a: SparseRows, norm: FloatTensor): void;
  /**
   * out = value * scale of quantizeRows for each element of x [N, D], or of a list in its order (out [nonZeros(x) or more]): rounded to 8 bits
   * and still floats, as training multiplies them. out may be x or the values of the list. NaN stays NaN; beside an infinity all are NaN.
   */
  fakeQuantizeRows(x: FloatTensor | SparseRows, out: FloatTensor): void;
  /** out = alpha * (1, -1 or 0), by w > threshold, w < -threshold or neither, in these columns of w and out [in, out]; others stay. */
  ternarize(w: FloatTensor, columns: ColumnRange, scale: TernaryScale, out: FloatTensor): void;
  /**
   * The true derivative of rescaleRows: gradient [rows, cols] of the re-scaled rows becomes, in place, that of the
   * masked rows. a holds the re-scaled values, norm what rescaleRows wrote. Columns without an element: only the factor; rows without one: 0.
   */
  rescaleRowsBackward(a: SparseRows, norm: FloatTensor, gradient: FloatTensor): void;

  // ---- normalisation, position, attention ---------------------------------------------------------------------------
  /** out [N, D] = x * rstd * weight [D]; rstd [N] = 1 / sqrt(mean(x^2) + eps). x and out may be one tensor. */
  rmsNorm(x: FloatTensor, weight: FloatTensor, eps: number, out: FloatTensor, rstd: FloatTensor): void;
  /** dX [N, D] (+= with accumulate) and dWeight [D] += of rmsNorm. */
  rmsNormBackward(
    x: FloatTensor,
    weight: FloatTensor,
    rstd: FloatTensor,
    dOut: FloatTensor,
    dX: FloatTensor,
    dWeight: FloatTensor,
    options?: { accumulate?: boolean },
  ): void;
  /** The same of a list of the non-zeros of x [N, D]: out [nonZeros(x) or more] in its order, which may be its values. */
  rmsNormRows(x: SparseRows, weight: FloatTensor, eps: number, out: FloatTensor, rstd: FloatTensor): void;
  /**
   * dX at the elements of x alone, and dWeight [D] +=, of rmsNormRows; dOut and dX [nonZeros(x) or more] in the order of the list; they may be
   * one tensor.
   */
  rmsNormRowsBackward(
    x: SparseRows,
    weight: FloatTensor,
    rstd: FloatTensor,
    dOut: FloatTensor,
    dX: FloatTensor,
    dWeight: FloatTensor,
  ): void;
  /**
   * Rotates heads of x [N, width] in place: feature i of a head with feature i + headDim / 2 (Hugging Face's convention)
   * by the angle of cos, sin [all positions, headDim / 2] at the row's own place in positions [N].
   */
  rope(x: FloatTensor, positions: IntTensor, cos: FloatTensor, sin: FloatTensor, shape: RopeShape): void;
  /**
   * Causal attention over qkv [N, (nHeads + 2 nKvHeads) headDim] = queries | keys | values, N = batch * seqLen.
   * out [N, nHeads * headDim]; logSumExp [N, nHeads] is kept for the backward. Scores / sqrt(headDim). Query head h
   * reads key/value head floor(h / (nHeads / nKvHeads)). Memory is linear in seqLen. Over one key the result is exactly v.
   * The token at index i of its sequence sees the keys 0 .. i, or with firstKeys [N], each of 0 .. i, those from its own on. A value that is not finite may reach
   * those tokens of its block of keys that do not see it, here and in the gradients.
   */
  attention(
    qkv: FloatTensor,
    out: FloatTensor,
    logSumExp: FloatTensor,
    shape: AttentionShape,
    firstKeys?: IntTensor | null,
  ): void;
  /** dQkv [as qkv] of attention. */
  attentionBackward(
    qkv: FloatTensor,
    out: FloatTensor,
    logSumExp: FloatTensor,
    dOut: FloatTensor,
    dQkv: FloatTensor,
    shape: AttentionShape,
    firstKeys?: IntTensor | null,
  ): void;
  /**
   * Stores the keys and values of new tokens, qkv [N, (nHeads + 2 nKvHeads) headDim] = queries | keys | values, in the type of the cache, at
   * the positions that `items` say. A vector with NaN or infinities in 8 bits is read back as NaN.
   */
  storeKv(qkv: Tensor<'f32'>, items: KvItems, kv: KvSlots): void;
  /**
   * Attention of new tokens over their slots of a cache, which already hold theirs: the token at position p reads the positions 0 .. p, or
   * with `window` above 0 the last `window` of them. qkv as above, out [N, nHeads * headDim]. One call serves sequences at different
   * positions. A row has the same bits however the tokens of a sequence are divided into items and calls, while all stored values are finite:
   * one that is not may reach those tokens of its block that are before it.
   */
  attentionCached(qkv: Tensor<'f32'>, items: KvItems, kv: KvSlots, window: number, out: Tensor<'f32'>): void;

  // ---- feed-forward -------------------------------------------------------------------------------------------------
  /**
   * out [N, H] = act(gateUp[:, :H]) * gateUp[:, H:]; gateUp [N, 2 H]. Closed ReLU gates give exactly +0, and with a threshold (rounded to f32) so
   * do those with |act| below it. Source of that: CATS (arXiv 2404.08763).
   */
  glu(gateUp: FloatTensor, activation: Activation, out: FloatTensor, threshold?: number): void;
  /**
   * dGateUp [N, 2 H] of glu. `l1` is added to the gradient of the hidden activations as l1 * sign(hidden) (the derivative
   * of l1 * sum |hidden|; 0 at 0). Closed ReLU gates, and those below the threshold, give exactly 0 in both halves.
   */
  gluBackward(
    gateUp: FloatTensor,
    dOut: FloatTensor,
    activation: Activation,
    l1: number,
    dGateUp: FloatTensor,
    threshold?: number,
  ): void;
  /**
   * start [N + 1] = running count of the open ReLU gates, which are the first `hiddenDim` columns of `gates`, [N, H] or [N, 2 H]: gates that
   * are not <= 0, NaN included.
   */
  countOpenGates(gates: FloatTensor, hiddenDim: number, start: IntTensor): void;
  /** Fills index and value (the gate itself) of out [N, H]; out.start must come from countOpenGates of the same gates. */
  gatherOpenGates(gates: FloatTensor, out: SparseRows): void;
  /** out = act(gate) * up behind open ReLU gates; up and out [nonZeros(gate) or more] in the order of the list; they may be one tensor. */
  gluRows(gate: SparseRows, up: FloatTensor, activation: Activation, out: FloatTensor): void;
  /**
   * dGateUp [N, 2 H] of gluRows, as a list of twice as many elements (those of the gates, then those of up, in each row);
   * dOut in the order of the list of gates. `l1` as in gluBackward.
   */
  gluRowsBackward(
    gate: SparseRows,
    up: FloatTensor,
    dOut: FloatTensor,
    activation: Activation,
    l1: number,
    dGateUp: SparseRows,
  ): void;

  // ---- mixture of experts -------------------------------------------------------------------------------------------
  /**
   * Token-choice routing. logits [N, E] become their softmax in place, logSumExp [N] is log of the sum of their exponentials. chosen [N, E]:
   * the `kept` experts of each row with the largest logits, ties to the lower index, NaN the largest, in ascending order; their values are
   * the probabilities divided by the sum of the chosen ones. chosen.start is written too.
   */
  routeTokens(logits: FloatTensor, kept: number, chosen: SparseRows, logSumExp: FloatTensor): void;
  /**
   * dLogits [N, E] of routeTokens, from its outputs, for: dShare, in the order of `chosen`, the gradient of its values; balance [E], that of
   * the probabilities, the same in each row; and zScale * logSumExp^2 of each row as a term of the loss.
   */
  routeTokensBackward(
    probabilities: FloatTensor,
    chosen: SparseRows,
    logSumExp: FloatTensor,
    dShare: FloatTensor,
    balance: FloatTensor,
    zScale: number,
    dLogits: FloatTensor,
  ): void;
  /** out [M, D] = the rows `ids` [M] of a [N, D], as a list; out.start is written too. */
  gatherRows(a: SparseRows, ids: IntTensor, out: SparseRows): void;
  /** out [N, D] += scale [M] * x [M, D], row by row, at the rows `ids` [M]; an id may occur again. */
  addRowsAt(x: FloatTensor, scale: FloatTensor, ids: IntTensor, out: FloatTensor): void;

  // ---- embedding, loss, optimiser, reductions -----------------------------------------------------------------------
  /** out [N, D] = table [V, D] at ids [N]. */
  embedding(ids: IntTensor, table: FloatTensor, out: FloatTensor): void;
  /** dTable [V, D] += rows of dOut [N, D] at ids. */
  embeddingBackward(ids: IntTensor, dOut: FloatTensor, dTable: FloatTensor): void;
  /**
   * losses [N] = -log softmax(logits [N, V])[targets], nats; a target of -1 has loss 0 and gradient 0. With `scale` not
   * null, logits become their gradient in place: (softmax - onehot) * scale.
   */
  softmaxCrossEntropy(logits: FloatTensor, targets: IntTensor, losses: FloatTensor, scale: number | null): void;
  /**
   * divergences [N] = the divergence of softmax(teacher [N, V] / temperature) from softmax(logits [N, V] / temperature), times temperature^2; 0
   * where a target is -1. With a scale, teacher becomes scale times its gradient with respect to the logits.
   */
  softmaxDivergence(
    logits: FloatTensor,
    teacher: FloatTensor,
    targets: IntTensor,
    divergences: FloatTensor,
    options: DivergenceOptions,
  ): void;
  /**
   * x [N, cols] in place: an element below `threshold` in size becomes the threshold with its sign, with a chance of its share of it, and else 0, so that its mean
   * stays. The chance is a hash of place and seed, a whole number below 2^32. Larger ones, and NaN, stay. Source: Ye et al. (arXiv 1908.00173), section 3.
   */
  pruneByChance(x: FloatTensor, threshold: number, seed: number): void;
  /** One AdamW update (Loshchilov & Hutter, decoupled decay) of p, m, v from g; g is set to 0 afterwards. */
  adamw(p: FloatTensor, g: FloatTensor, m: FloatTensor, v: FloatTensor, options: AdamWStep): void;
  /** The same with m (signed) and v (positive) in 8 bits, rounded by a chance that is a function of element and step. */
  adamw8(p: FloatTensor, g: FloatTensor, m: BlockMoments, v: BlockMoments, options: AdamWStep): void;
  /** partial [rows] (f64) = sum of squares of columns first .. first + count of each row of x [rows, cols]. */
  sumSquares(x: FloatTensor, partial: Tensor<'f64'>, first: number, count: number): void;
  /** The same of |x|, in the order of `sumOfMagnitudes` (tensor/ternary.ts): the same bits on every backend. */
  sumAbs(x: FloatTensor, partial: Tensor<'f64'>, first: number, count: number): void;
  /** out = a + b, element by element; out may be a or b. */
  add(a: FloatTensor, b: FloatTensor, out: FloatTensor): void;
  /** out [count, rows] = (with accumulate: +=) the transpose of columns first .. first + count of x [rows, cols]; all by default. */
  transpose(x: FloatTensor, out: FloatTensor, options?: { columns?: ColumnRange; accumulate?: boolean }): void;
  /** x *= factor. */
  scale(x: FloatTensor, factor: number): void;
  copy(from: Tensor, to: Tensor): void;
  fill(x: FloatTensor, value: number): void;
}

export type BackendName = 'native' | 'wasm' | 'reference';

export interface Backend {
  readonly name: BackendName;
  /** One line for people: instruction set and threads. */
  readonly description: string;
  readonly threads: number;
  /** The processor has an instruction for bf16 products; without one they are slower than f32. */
  readonly bf16: boolean;
  readonly kernels: Kernels;
  /** New memory of `length` elements, all 0, aligned to 64 bytes; lives until `free`, or until nothing refers to it. */
  allocate<D extends DType>(dtype: D, length: number): { data: DataOf[D]; address: number };
  free(memory: { data: DataOf[DType]; address: number }): void;
  /**
   * Where the backend can: `bytes` (at least 1) of an open file from `offset` on as memory, shared with other processes and read when it is
   * touched; until `free`. What is written to it reaches neither the file nor anybody else. The descriptor may be closed afterwards. A file
   * that is cut short meanwhile ends the process (SIGBUS) when what is missing is touched. Throws BackendError where the file
   * ends before, or the system does not map it.
   */
  mapFile?(file: number, offset: number, bytes: number): { data: Uint8Array; address: number };
  /** Stops the threads; the kernels must not be used afterwards. Memory lives on, see `allocate`. */
  dispose(): void;
}
