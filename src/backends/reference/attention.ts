/**
 * Causal attention with grouped queries: out_i = sum over first_i <= j <= i of softmax(q_i . k_j / sqrt(headDim))_j v_j.
 *
 * Backward, from the kept log of the sum of exponentials: p_ij = exp(s_ij - logSumExp_i), and with
 * delta_i = dOut_i . out_i: dv_j += p_ij dOut_i; ds_ij = p_ij (dOut_i . v_j - delta_i); dq_i += ds_ij k_j / sqrt(headDim);
 * dk_j += ds_ij q_i / sqrt(headDim). Source: Dao et al., FlashAttention (arXiv 2205.14135), appendix B.
 */

import type { AttentionShape } from '../../backend.ts';
import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';

/** A sequence of vectors of one head: vector j begins at `offset + j * stride`. */
interface HeadVectors {
  data: FloatTensor['data'];
  offset: number;
  stride: number;
}

export function attention(
  qkv: FloatTensor,
  out: FloatTensor,
  logSumExp: FloatTensor,
  shape: AttentionShape,
  firstKeys: IntTensor | null = null,
): void {
  const { batch, seqLen, nHeads, headDim } = shape;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nHeads; h++) {
      const { q, k, v } = headsOf(qkv, b, h, shape);
      for (let i = 0; i < seqLen; i++) {
        const row = b * seqLen + i;
        const seen = { first: firstKeys?.data[row] ?? 0, end: i + 1 };
        logSumExp.data[row * nHeads + h] = attend(q, i, k, v, seen, headDim, out, (row * nHeads + h) * headDim);
      }
    }
  }
}

export function attentionBackward(
  qkv: FloatTensor,
  out: FloatTensor,
  logSumExp: FloatTensor,
  dOut: FloatTensor,
  dQkv: FloatTensor,
  shape: AttentionShape,
  firstKeys: IntTensor | null = null,
): void {
  const { batch, seqLen, nHeads, headDim } = shape;
  const scale = 1 / Math.sqrt(headDim);
  // Keys and values gather from many queries: the sums are f64 and rounded once.
  const sums = new Float64Array(batch * seqLen * (nHeads + 2 * shape.nKvHeads) * headDim);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nHeads; h++) {
      const { q, k, v } = headsOf(qkv, b, h, shape);
      for (let i = 0; i < seqLen; i++) {
        const row = b * seqLen + i;
        const head = row * nHeads + h;
        const o = { data: out.data, offset: head * headDim, stride: 0 };
        const dO = { data: dOut.data, offset: head * headDim, stride: 0 };
        const delta = dot(dO, 0, o, 0, headDim);
        for (let j = firstKeys?.data[row] ?? 0; j <= i; j++) {
          const p = Math.exp(dot(q, i, k, j, headDim) * scale - logSumExp.data[head]);
          const dScore = p * (dot(dO, 0, v, j, headDim) - delta) * scale;
          for (let d = 0; d < headDim; d++) {
            sums[at(v, j) + d] += p * dOut.data[head * headDim + d];
            sums[at(q, i) + d] += dScore * qkv.data[at(k, j) + d];
            sums[at(k, j) + d] += dScore * qkv.data[at(q, i) + d];
          }
        }
      }
    }
  }
  dQkv.data.set(sums);
}

/** Query, key and value vectors of query head h in sequence b of a fused qkv matrix. */
function headsOf(qkv: FloatTensor, b: number, h: number, shape: AttentionShape) {
  const { seqLen, nHeads, nKvHeads, headDim } = shape;
  const stride = (nHeads + 2 * nKvHeads) * headDim;
  const kvHead = Math.floor(h / (nHeads / nKvHeads));
  const vectors = (head: number): HeadVectors => ({
    data: qkv.data,
    offset: b * seqLen * stride + head * headDim,
    stride,
  });
  return { q: vectors(h), k: vectors(nHeads + kvHead), v: vectors(nHeads + nKvHeads + kvHead) };
}

/** Writes the output of one query over the keys first .. end - 1 and returns the log of its sum of exponentials. */
function attend(
  q: HeadVectors,
  i: number,
  k: HeadVectors,
  v: HeadVectors,
  { first, end }: { first: number; end: number },
  headDim: number,
  out: FloatTensor,
  outOffset: number,
): number {
  const scores = Array.from({ length: end - first }, (_, j) => dot(q, i, k, first + j, headDim) / Math.sqrt(headDim));
  const largest = scores.reduce((a, b) => Math.max(a, b));
  // The largest score has exp(0) = 1: over one key the sum is 1 and the output exactly v.
  const exponentials = scores.map((score) => Math.exp(score - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  for (let d = 0; d < headDim; d++) {
    let weighted = 0;
    exponentials.forEach((exponential, j) => {
      weighted += exponential * v.data[at(v, first + j) + d];
    });
    out.data[outOffset + d] = weighted / sum;
  }
  return largest + Math.log(sum);
}

function at(vectors: HeadVectors, j: number): number {
  return vectors.offset + j * vectors.stride;
}

function dot(a: HeadVectors, i: number, b: HeadVectors, j: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a.data[at(a, i) + d] * b.data[at(b, j) + d];
  return sum;
}
