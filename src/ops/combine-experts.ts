/**
 * What the experts give back, added up: out [N, D] = for each token the sum over its experts of share * y.
 *
 * Backward, for the token t in row r of an expert: dY_r = share * dOut_t, and of the share itself y_r . dOut_t. Both are products with the
 * matrix that has the share at (r, t), one element in each row, so that the kernels of sparse products serve.
 */

import type { Op } from '../autograd/op.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor, IntTensor } from '../tensor/tensor.ts';

/** What one expert did. */
export interface ExpertOutput {
  /** [M] ascending, and what each gives the expert of its own sum. */
  readonly tokens: IntTensor;
  readonly shares: FloatTensor;
  /** [M, D] */
  readonly y: Value;
}

interface Input {
  /** [N, E]: the shares, whose gradient goes back to the router. */
  routed: Value;
  /** Of the experts that were chosen by some token, in the order of the experts. */
  outputs: readonly ExpertOutput[];
}

export const combineExperts: Op<Input, Input & { rows: SparseRows }> = {
  name: 'combineExperts',

  forward(tape, { routed, outputs }) {
    const shape = [routed.shape[0], outputs[0].y.shape[1]] as const;
    const rows = routed.rows!;
    const dense = tape.take(shape);
    tape.kernels.fill(dense, 0);
    for (const { tokens, shares, y } of outputs) tape.kernels.addRowsAt(y.dense!, shares, tokens, dense);
    const kept = outputs.flatMap(({ tokens, shares, y }) => [tokens, shares, y.dense!]);
    return { output: new Value(shape, { dense }), saved: { routed, outputs, rows }, keep: [...kept, rows] };
  },

  backward(tape, { routed, outputs, rows }, dOut) {
    const dense = tape.denseForm(dOut);
    const next = rows.start.data.slice(); // of each token, the place of its next expert
    const dShares = tape.take([rows.value.data.length]);
    for (const { tokens, shares, y } of outputs) {
      const at = sharesAt(tape, tokens, shares, rows.rows);
      const dShare = tape.take(shares.shape);
      tape.kernels.sampledMatmul(y.dense!, dense, at, dShare);
      for (const [r, token] of tokens.data.entries()) dShares.data[next[token]++] = dShare.data[r];
      const dY = tape.take(y.shape);
      tape.kernels.sparseMatmul(at, dense, dY);
      tape.addGradient(y, { dense: dY, rows: null });
    }
    tape.addGradient(routed, { dense: null, rows: { ...rows, value: dShares } });
  },
};

/** [M, N]: the share of row r at its token. */
function sharesAt(tape: Tape, tokens: IntTensor, shares: FloatTensor, nTokens: number): SparseRows {
  const start = tape.takeInts(tokens.data.length + 1);
  for (let r = 0; r < start.data.length; r++) start.data[r] = r;
  return { rows: tokens.data.length, cols: nTokens, start, index: tokens, value: shares };
}
