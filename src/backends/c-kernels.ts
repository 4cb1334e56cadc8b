/**
 * The Kernels table of every backend that runs the C kernels: one wrapper for the native addon and for wasm.
 *
 * Owns the order of the argument slots (each C file documents its own), the kernels that take several C calls, and the
 * choice between one thread and all. Loading, memory and threads are the host's. A call allocates nothing: a decoded token
 * makes about a hundred of them, so slots are written into one block that the host reads.
 * Shapes are trusted here: check-kernels.ts stands in front.
 */

import type { Activation, Kernels, WeightInput } from '../backend.ts';
import { nonZeros } from '../tensor/sparse-rows.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { WeightMatrix, WeightType } from '../tensor/weight-matrix.ts';
import { ShapeError } from '../util/errors.ts';

/** Names of the C entries, as in kernels/*.c. The order is the order of the C table. */
export const C_KERNEL_NAMES = [
  'matmul',
  'sparse_matmul',
  'sampled_matmul',
  'matvec',
  'sparse_matvec',
  'matvec_transposed',
  'weight_matvec',
  'weight_matmul',
  'weight_dots',
  'quantize_rows',
  'select_top_k',
  'count_non_zeros',
  'prefix_sum',
  'gather_non_zeros',
  'transpose_counts',
  'transpose_fill',
  'scatter_rows',
  'gather_at',
  'mask_rows',
  'rescale_rows',
  'rescale_rows_backward',
  'rms_norm',
  'rms_norm_backward',
  'rms_norm_backward_weight',
  'rope',
  'attention',
  'attention_backward',
  'attention_cached',
  'glu',
  'glu_backward',
  'count_open_gates',
  'gather_open_gates',
  'glu_rows',
  'glu_rows_backward',
  'embedding',
  'embedding_backward',
  'softmax_cross_entropy',
  'adamw',
  'sum_squares',
  'sum_abs',
  'add',
  'transpose',
  'scale',
  'copy',
  'fill',
] as const;

export type CKernelName = (typeof C_KERNEL_NAMES)[number];

/** What a backend offers to run C kernels. */
export interface CKernelHost {
  /** At least 32 slots; `run` gives them to the kernel. Read anew at each call, so the host may replace it. */
  readonly args: Float64Array;
  /** Runs the kernel to its end, split into `parts` shares: all threads where left out, the calling one with 1. */
  run(kernel: CKernelName, parts?: number): void;
}

/**
 * Below this many operations or bytes a call runs on the calling thread alone: a thread does about 10 of them in a
 * nanosecond, and waking the others takes some microseconds.
 */
const SMALL_WORK = 32768;

/** The tiles of the attention kernels must fit the scratch of a thread (attention.c). */
const MAX_HEAD_DIM = 1024;

const ACTIVATION_CODES: Readonly<Record<Activation, number>> = { relu2: 0, relu: 1, silu: 2 };

/** Runs one C kernel. `work` is about how many operations or bytes it takes; it is only compared with SMALL_WORK. */
type Call = (
  kernel: CKernelName,
  work: number,
  s0: number,
  s1: number,
  s2: number,
  s3?: number,
  s4?: number,
  s5?: number,
  s6?: number,
  s7?: number,
  s8?: number,
  s9?: number,
  s10?: number,
  s11?: number,
  s12?: number,
  s13?: number,
  s14?: number,
) => void;

/** All kernels of the Backend interface, run by `host`. Takes f32 tensors in the host's memory. */
export function createCKernels(host: CKernelHost): Kernels {
  const call = createCall(host);
  return {
    ...productKernels(call),
    ...weightKernels(call),
    ...selectionKernels(call),
    ...normKernels(call),
    ...attentionKernels(call),
    ...feedForwardKernels(call),
    ...trainingKernels(call),
    ...elementKernels(call),
  };
}

/** Fifteen parameters instead of a rest array, which would be allocated at each call. */
function createCall(host: CKernelHost): Call {
  return (
    kernel,
    work,
    s0,
    s1,
    s2,
    s3 = 0,
    s4 = 0,
    s5 = 0,
    s6 = 0,
    s7 = 0,
    s8 = 0,
    s9 = 0,
    s10 = 0,
    s11 = 0,
    s12 = 0,
    s13 = 0,
    s14 = 0,
  ) => {
    const args = host.args;
    args[0] = s0;
    args[1] = s1;
    args[2] = s2;
    args[3] = s3;
    args[4] = s4;
    args[5] = s5;
    args[6] = s6;
    args[7] = s7;
    args[8] = s8;
    args[9] = s9;
    args[10] = s10;
    args[11] = s11;
    args[12] = s12;
    args[13] = s13;
    args[14] = s14;
    host.run(kernel, work < SMALL_WORK ? 1 : undefined);
  };
}

/** For kernels that run on the calling thread whatever their size. */
const ONE_THREAD = 0;

type Products = 'matmul' | 'sparseMatmul' | 'sampledMatmul' | 'matvec' | 'sparseMatvec' | 'matvecTransposed';

function productKernels(call: Call): Pick<Kernels, Products> {
  return {
    matmul(a, b, out, options) {
      const [m, stride] = out.shape;
      const { first, count: n } = options?.columns ?? { first: 0, count: stride };
      const transposeA = bit(options?.transposeA);
      const transposeB = bit(options?.transposeB);
      const k = a.shape[1 - transposeA];
      const work = 2 * m * n * k;
      call(
        'matmul',
        work,
        a.address,
        b.address + 4 * first,
        out.address + 4 * first,
        m,
        n,
        k,
        transposeA,
        transposeB,
        bit(options?.accumulate),
        stride,
        bit(options?.precision === 'bf16'),
      );
    },
    sparseMatmul(a, b, out, options) {
      const { start, index, value, rows, cols } = a;
      const stride = out.shape[1];
      const { first, count: n } = options?.columns ?? { first: 0, count: stride };
      const transposeB = bit(options?.transposeB);
      const accumulate = bit(options?.accumulate);
      const work = 2 * nonZeros(a) * n + rows * n;
      call(
        'sparse_matmul',
        work,
        start.address,
        index.address,
        value.address,
        b.address + 4 * first,
        out.address + 4 * first,
        rows,
        n,
        cols,
        transposeB,
        accumulate,
        stride,
        bit(options?.precision === 'bf16'),
      );
    },
    sampledMatmul(a, b, { start, index, rows, cols }, out) {
      const k = a.shape[1];
      const work = 2 * out.data.length * k + rows;
      call('sampled_matmul', work, a.address, b.address, start.address, index.address, out.address, rows, cols, k);
    },
    matvec(x, w, out, options) {
      const k = x.data.length;
      const n = out.data.length;
      call('matvec', 4 * k * n, x.address, w.address, out.address, k, n, bit(options?.accumulate));
    },
    sparseMatvec(x, w, out, options) {
      const { start, index, value, cols } = x;
      const n = out.data.length;
      const work = 4 * (nonZeros(x) + 1) * n;
      const accumulate = bit(options?.accumulate);
      call(
        'sparse_matvec',
        work,
        start.address,
        index.address,
        value.address,
        w.address,
        out.address,
        cols,
        n,
        accumulate,
      );
    },
    matvecTransposed(x, w, out) {
      const k = x.data.length;
      const n = out.data.length;
      call('matvec_transposed', 4 * k * n, x.address, w.address, out.address, k, n);
    },
  };
}

/** How the C kernels know the layout of a row. */
const WEIGHT_CODES: Readonly<Record<WeightType, number>> = { f32: 0, bf16: 1, int8: 2, ternary: 3 };

type Weights = 'weightMatvec' | 'weightMatmul' | 'weightDots' | 'quantizeRows';

function weightKernels(call: Call): Pick<Kernels, Weights> {
  const product = (
    kernel: 'weight_matvec' | 'weight_matmul',
    x: WeightInput,
    w: WeightMatrix,
    out: Tensor,
    accumulate: boolean | undefined,
  ) => {
    const list = 'data' in x ? null : x;
    const value = 'data' in x ? x : x.value;
    const tokens = 'data' in x ? x.data.length / w.rows : x.rows;
    call(
      kernel,
      2 * tokens * w.rows * w.cols,
      list?.start?.address ?? 0,
      list?.index?.address ?? 0,
      value.address,
      'scale' in x ? x.scale.address : 0,
      w.data.address,
      w.rowBytes,
      w.scale?.address ?? 0,
      w.groupRows,
      WEIGHT_CODES[w.dtype],
      out.address,
      tokens,
      w.rows,
      w.cols,
      bit(accumulate),
    );
  };
  return {
    weightMatvec: (x, w, out, options) => product('weight_matvec', x, w, out, options?.accumulate),
    weightMatmul: (x, w, out, options) => product('weight_matmul', x, w, out, options?.accumulate),
    weightDots(x, w, out, options) {
      const at = options?.at;
      const value = 'data' in x ? x : x.value;
      const tokens = 'data' in x ? x.data.length / w.cols : x.rows;
      call(
        'weight_dots',
        2 * out.data.length * w.cols,
        value.address,
        'scale' in x ? x.scale.address : 0,
        w.data.address,
        w.rowBytes,
        w.scale?.address ?? 0,
        WEIGHT_CODES[w.dtype],
        out.address,
        tokens,
        w.rows,
        w.cols,
        at?.start.address ?? 0,
        at?.index.address ?? 0,
      );
    },
    quantizeRows(x, out) {
      const from = 'data' in x ? x.address : x.value.address;
      const start = 'data' in x ? 0 : x.start.address;
      call(
        'quantize_rows',
        8 * out.rows * out.cols,
        from,
        start,
        out.value.address,
        out.scale.address,
        out.rows,
        out.cols,
      );
    },
  };
}

type Selection =
  | 'selectTopK'
  | 'countNonZeros'
  | 'gatherNonZeros'
  | 'transposeRows'
  | 'scatterRows'
  | 'gatherAt'
  | 'maskRows'
  | 'rescaleRows'
  | 'rescaleRowsBackward';

function selectionKernels(call: Call): Pick<Kernels, Selection> {
  return {
    selectTopK(x, kept, { start, index, value, rows, cols }) {
      const work = 8 * rows * cols;
      call('select_top_k', work, x.address, start.address, index.address, value.address, rows, cols, kept);
    },
    countNonZeros(x, start) {
      const [rows, cols] = x.shape;
      call('count_non_zeros', 4 * rows * cols, x.address, start.address, rows, cols);
      call('prefix_sum', ONE_THREAD, start.address, rows, 0);
    },
    gatherNonZeros(x, { start, index, value, rows, cols }) {
      call('gather_non_zeros', 4 * rows * cols, x.address, start.address, index.address, value.address, rows, cols);
    },
    transposeRows(a, out) {
      const { start, index, value, rows, cols } = a;
      const work = 8 * nonZeros(a);
      call('transpose_counts', work, start.address, index.address, out.start.address, rows, cols);
      call('prefix_sum', ONE_THREAD, out.start.address, cols, 0);
      const to = out.start.address;
      const outIndex = out.index.address;
      const outValue = out.value.address;
      call('transpose_fill', work, start.address, index.address, value.address, to, outIndex, outValue, rows, cols);
    },
    scatterRows({ start, index, value, rows, cols }, out) {
      call('scatter_rows', 4 * rows * cols, start.address, index.address, value.address, out.address, rows, cols);
    },
    gatherAt(x, first, { start, index, rows }, out) {
      const from = x.address + 4 * first;
      const work = 8 * out.data.length + rows;
      call('gather_at', work, from, start.address, index.address, out.address, rows, x.shape[1]);
    },
    maskRows(x, { start, index, rows, cols }, out) {
      call('mask_rows', 8 * rows * cols, x.address, start.address, index.address, out.address, rows, cols);
    },
    rescaleRows(a, norm) {
      call('rescale_rows', 8 * nonZeros(a), a.start.address, a.value.address, norm.address, a.rows, a.cols);
    },
    rescaleRowsBackward({ start, index, value, rows, cols }, norm, gradient) {
      const work = 8 * rows * cols;
      const to = gradient.address;
      call('rescale_rows_backward', work, start.address, index.address, value.address, norm.address, to, rows, cols);
    },
  };
}

function normKernels(call: Call): Pick<Kernels, 'rmsNorm' | 'rmsNormBackward' | 'rope'> {
  return {
    rmsNorm(x, weight, eps, out, rstd) {
      const dim = weight.data.length;
      const rows = rstd.data.length;
      call('rms_norm', 8 * rows * dim, x.address, weight.address, out.address, rstd.address, rows, dim, eps);
    },
    rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, options) {
      const dim = weight.data.length;
      const rows = rstd.data.length;
      const work = 12 * rows * dim;
      // The weight first: dX may be the memory of dOut.
      call('rms_norm_backward_weight', work, x.address, rstd.address, dOut.address, dWeight.address, rows, dim);
      const accumulate = bit(options?.accumulate);
      const from = dOut.address;
      call('rms_norm_backward', work, x.address, weight.address, rstd.address, from, dX.address, rows, dim, accumulate);
    },
    rope(x, cos, sin, shape) {
      const [rows, width] = x.shape;
      const { seqLen, start, nRotatedHeads, headDim } = shape;
      const work = 8 * rows * nRotatedHeads * headDim;
      const inverse = bit(shape.inverse);
      call(
        'rope',
        work,
        x.address,
        cos.address,
        sin.address,
        rows,
        width,
        seqLen,
        start,
        nRotatedHeads,
        headDim,
        inverse,
      );
    },
  };
}

function attentionKernels(call: Call): Pick<Kernels, 'attention' | 'attentionBackward' | 'attentionCached'> {
  return {
    attention(qkv, out, logSumExp, { batch, seqLen, nHeads, nKvHeads, headDim }) {
      checkHeadDim('attention', headDim);
      const work = 2 * batch * seqLen * seqLen * nHeads * headDim;
      const sums = logSumExp.address;
      call('attention', work, qkv.address, out.address, sums, batch, seqLen, nHeads, nKvHeads, headDim);
    },
    attentionBackward(qkv, out, logSumExp, dOut, dQkv, { batch, seqLen, nHeads, nKvHeads, headDim }) {
      checkHeadDim('attentionBackward', headDim);
      const work = 5 * batch * seqLen * seqLen * nHeads * headDim;
      call(
        'attention_backward',
        work,
        qkv.address,
        out.address,
        logSumExp.address,
        dOut.address,
        dQkv.address,
        batch,
        seqLen,
        nHeads,
        nKvHeads,
        headDim,
      );
    },
    attentionCached(qkv, keys, values, out, { nQueries, start, nHeads, nKvHeads, headDim }) {
      checkHeadDim('attentionCached', headDim);
      const work = 4 * nQueries * (start + nQueries) * nHeads * headDim;
      call(
        'attention_cached',
        work,
        qkv.address,
        keys.address,
        values.address,
        out.address,
        nQueries,
        start,
        nHeads,
        nKvHeads,
        headDim,
      );
    },
  };
}

type FeedForward = 'glu' | 'gluBackward' | 'countOpenGates' | 'gatherOpenGates' | 'gluRows' | 'gluRowsBackward';

function feedForwardKernels(call: Call): Pick<Kernels, FeedForward> {
  return {
    glu(gateUp, activation, out) {
      const [rows, twoHidden] = gateUp.shape;
      const work = 6 * rows * twoHidden;
      call('glu', work, gateUp.address, out.address, rows, twoHidden / 2, ACTIVATION_CODES[activation]);
    },
    gluBackward(gateUp, dOut, activation, l1, dGateUp) {
      const [rows, twoHidden] = gateUp.shape;
      const hidden = twoHidden / 2;
      const work = 10 * rows * twoHidden;
      const code = ACTIVATION_CODES[activation];
      call('glu_backward', work, gateUp.address, dOut.address, dGateUp.address, rows, hidden, code, l1);
    },
    countOpenGates(gateUp, start) {
      const [rows, twoHidden] = gateUp.shape;
      call('count_open_gates', 2 * rows * twoHidden, gateUp.address, start.address, rows, twoHidden / 2);
      call('prefix_sum', ONE_THREAD, start.address, rows, 0);
    },
    gatherOpenGates(gateUp, { start, index, value, rows, cols }) {
      const work = 4 * rows * cols;
      call('gather_open_gates', work, gateUp.address, start.address, index.address, value.address, rows, cols);
    },
    gluRows(gate, up, activation, out) {
      const size = nonZeros(gate);
      call('glu_rows', 12 * size, gate.value.address, up.address, out.address, size, ACTIVATION_CODES[activation]);
    },
    gluRowsBackward({ start, index, value, rows, cols }, up, dOut, activation, l1, dGateUp) {
      call(
        'glu_rows_backward',
        28 * up.data.length,
        start.address,
        index.address,
        value.address,
        up.address,
        dOut.address,
        dGateUp.start.address,
        dGateUp.index.address,
        dGateUp.value.address,
        rows,
        cols,
        ACTIVATION_CODES[activation],
        l1,
      );
    },
  };
}

type Training = 'embedding' | 'embeddingBackward' | 'softmaxCrossEntropy' | 'adamw';

function trainingKernels(call: Call): Pick<Kernels, Training> {
  return {
    embedding(ids, table, out) {
      const dim = table.shape[1];
      const work = 8 * out.data.length;
      call('embedding', work, ids.address, table.address, out.address, ids.data.length, dim);
    },
    embeddingBackward(ids, dOut, dTable) {
      const dim = dTable.shape[1];
      const work = 12 * dOut.data.length;
      call('embedding_backward', work, ids.address, dOut.address, dTable.address, ids.data.length, dim);
    },
    softmaxCrossEntropy(logits, targets, losses, scale) {
      const [rows, vocabSize] = logits.shape;
      const work = 16 * rows * vocabSize;
      const hasScale = bit(scale !== null);
      const to = losses.address;
      call('softmax_cross_entropy', work, logits.address, targets.address, to, rows, vocabSize, hasScale, scale ?? 0);
    },
    adamw(p, g, m, v, options) {
      const { lr, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
      const size = p.data.length;
      call(
        'adamw',
        28 * size,
        p.address,
        g.address,
        m.address,
        v.address,
        size,
        lr,
        beta1,
        beta2,
        eps,
        weightDecay,
        1 - beta1 ** step,
        1 - beta2 ** step,
        gradientScale,
      );
    },
  };
}

function elementKernels(
  call: Call,
): Pick<Kernels, 'sumSquares' | 'sumAbs' | 'add' | 'transpose' | 'scale' | 'copy' | 'fill'> {
  return {
    sumSquares(x, partial, first, count) {
      const [rows, cols] = x.shape;
      call('sum_squares', 4 * rows * count, x.address, partial.address, rows, cols, first, count);
    },
    sumAbs(x, partial) {
      const [rows, cols] = x.shape;
      call('sum_abs', 4 * rows * cols, x.address, partial.address, rows, cols);
    },
    add(a, b, out) {
      const size = out.data.length;
      call('add', 12 * size, a.address, b.address, out.address, size);
    },
    transpose(x, out, options) {
      const [rows, stride] = x.shape;
      const { first, count } = options?.columns ?? { first: 0, count: stride };
      const from = x.address + 4 * first;
      call('transpose', 12 * rows * count, from, out.address, rows, count, stride, bit(options?.accumulate));
    },
    scale(x, factor) {
      call('scale', 8 * x.data.length, x.address, x.data.length, factor);
    },
    copy(from, to) {
      const bytes = from.data.byteLength;
      call('copy', 2 * bytes, from.address, to.address, bytes);
    },
    fill(x, value) {
      call('fill', 4 * x.data.length, x.address, x.data.length, value);
    },
  };
}

function checkHeadDim(where: string, headDim: number): void {
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(where, `headDim must be at most ${MAX_HEAD_DIM}, got ${headDim}. Use more heads.`);
  }
}

function bit(flag: boolean | undefined): 0 | 1 {
  return flag ? 1 : 0;
}
