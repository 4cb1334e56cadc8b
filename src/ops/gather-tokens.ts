/**
 * The tokens of one expert: out [M, D] = the rows `tokens` [M] of x [N, D], as lists where x is one. Backward: dX at these rows += dOut.
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';
import { nonZerosAt } from '../tensor/sparse-rows.ts';
import type { IntTensor } from '../tensor/tensor.ts';

interface Input {
  x: Value;
  /** Ascending. */
  tokens: IntTensor;
}

export const gatherTokens: Op<Input, Input> = {
  name: 'gatherTokens',

  forward(tape, { x, tokens }) {
    const shape = [tokens.data.length, x.shape[1]] as const;
    const saved = { x, tokens };
    if (x.rows !== null) {
      const rows = tape.takeRows(...shape, nonZerosAt(x.rows, tokens));
      tape.kernels.gatherRows(x.rows, tokens, rows);
      return { output: new Value(shape, { rows }), saved, keep: [tokens] };
    }
    const dense = tape.take(shape);
    tape.kernels.embedding(tokens, x.dense!, dense); // x as the table
    return { output: new Value(shape, { dense }), saved, keep: [tokens] };
  },

  backward(tape, { x, tokens }, dOut) {
    const { dense, accumulate } = tape.gradientTarget(x);
    if (!accumulate) tape.kernels.fill(dense, 0);
    tape.kernels.embeddingBackward(tokens, tape.denseForm(dOut), dense);
  },
};
