/**
 * RMSNorms over the features of each head: q and k of qkv [N, (nHeads + 2 nKvHeads) headDim], with a weight [headDim] for all heads of q and one for
 * those of k; values are left alone.
 *
 * A head is a row of headDim features, so that this is rmsNorm on a reshaped matrix, twice, with the heads sorted by kind around it.
 * Source: Qwen3 (arXiv 2505.09388); query-key normalisation (arXiv 2010.04245).
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import { type FloatTensor, type IntTensor, view } from '../tensor/tensor.ts';
import { gradientOrSink } from './gradient-or-sink.ts';
import { fillHeadOrder, type HeadCounts } from './head-order.ts';

export interface HeadShape extends HeadCounts {
  readonly headDim: number;
}

interface Input {
  qkv: Value;
  qNorm: Weight;
  kNorm: Weight;
  eps: number;
  shape: HeadShape;
}

interface Saved extends Input {
  order: IntTensor;
  back: IntTensor;
  /** The heads as they came, sorted, [N (nHeads + 2 nKvHeads), headDim], and what the norms made of those of q and k, [N (nHeads + nKvHeads)]. */
  sorted: FloatTensor;
  rstd: FloatTensor;
}

export const headNorms: Op<Input, Saved> = {
  name: 'headNorms',

  forward(tape, input) {
    const { qkv, qNorm, kNorm, eps, shape } = input;
    const heads = countOf(qkv, shape);
    const [order, back] = [tape.takeInts(heads), tape.takeInts(heads)];
    fillHeadOrder(qkv.shape[0], shape, order.data, back.data);
    const sorted = sort(tape, order, qkv.dense!, shape);
    const rstd = tape.take([heads]);
    const normed = tape.take(sorted.shape);
    const [from, to, rstds] = [sorted, normed, rstd].map((tensor) => kindsOf(tensor, qkv, shape));
    tape.kernels.rmsNorm(from.q, qNorm.value, eps, to.q, rstds.q);
    tape.kernels.rmsNorm(from.k, kNorm.value, eps, to.k, rstds.k);
    tape.kernels.copy(from.v, to.v);
    const dense = tape.take(qkv.shape);
    tape.kernels.embedding(back, normed, view(dense, sorted.shape));
    return {
      output: new Value(qkv.shape, { dense }),
      saved: { ...input, order, back, sorted, rstd },
      keep: [order, back, sorted, rstd],
    };
  },

  backward(tape, { qkv, qNorm, kNorm, shape, order, back, sorted, rstd }, dOut) {
    const dSorted = sort(tape, order, tape.denseForm(dOut), shape);
    const dHeads = tape.take(sorted.shape);
    const [x, d, to, rstds] = [sorted, dSorted, dHeads, rstd].map((tensor) => kindsOf(tensor, qkv, shape));
    const overwrite = { accumulate: false };
    tape.kernels.rmsNormBackward(x.q, qNorm.value, rstds.q, d.q, to.q, gradientOrSink(tape, qNorm), overwrite);
    tape.kernels.rmsNormBackward(x.k, kNorm.value, rstds.k, d.k, to.k, gradientOrSink(tape, kNorm), overwrite);
    tape.kernels.copy(d.v, to.v);
    const dense = tape.take(qkv.shape);
    tape.kernels.embedding(back, dHeads, view(dense, sorted.shape));
    tape.addGradient(qkv, { dense, rows: null });
  },
};

function countOf({ shape: [tokens] }: Value, { nHeads, nKvHeads }: HeadShape): number {
  return tokens * (nHeads + 2 * nKvHeads);
}

/** [N, (nHeads + 2 nKvHeads) headDim] as sorted rows of headDim. */
function sort(tape: Tape, order: IntTensor, qkv: FloatTensor, { headDim }: HeadShape): FloatTensor {
  const rows = [order.data.length, headDim];
  const sorted = tape.take(rows);
  tape.kernels.embedding(order, view(qkv, rows), sorted);
  return sorted;
}

/** The rows of each kind of a sorted matrix, or the numbers of a vector with one for each row. */
function kindsOf(sorted: FloatTensor, { shape: [tokens] }: Value, { nHeads, nKvHeads }: HeadShape) {
  const [, ...features] = sorted.shape;
  const part = (first: number, heads: number) =>
    view(sorted, [tokens * heads, ...features], tokens * first * (features[0] ?? 1));
  return { q: part(0, nHeads), k: part(nHeads, nKvHeads), v: part(nHeads + nKvHeads, nKvHeads) };
}
