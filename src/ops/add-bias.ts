/**
 * A bias behind a product: y [N, F] = x + bias [F] for each token. Backward: dX = dY, dBias += the sum of dY over the tokens.
 *
 * A bias is a table of one row that every token looks up, so that the kernels of the embedding serve: the look-up, and the sum of
 * its gradients, whose parts divide the columns.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import { Value } from '../autograd/value.ts';
import { type FloatTensor, type IntTensor, view } from '../tensor/tensor.ts';

interface Saved {
  x: Value;
  bias: Weight;
  /** The row that each token looks up, [N]: 0. */
  rows: IntTensor;
}

export const addBias: Op<{ x: Value; bias: Weight }, Saved> = {
  name: 'addBias',

  forward(tape, { x, bias }) {
    const rows = tape.takeInts(x.shape[0]);
    rows.data.fill(0);
    const dense = tape.take(x.shape);
    tape.kernels.embedding(rows, tableOf(bias.value), dense);
    tape.kernels.add(x.dense!, dense, dense);
    return { output: new Value(x.shape, { dense }), saved: { x, bias, rows }, keep: [rows] };
  },

  backward(tape, { x, bias, rows }, dOut) {
    const dense = tape.denseForm(dOut);
    if (bias.gradient) tape.kernels.embeddingBackward(rows, dense, tableOf(bias.gradient));
    tape.addGradient(x, { dense, rows: null });
  },
};

/** [F] as [1, F]. */
function tableOf(bias: FloatTensor): FloatTensor {
  return view(bias, [1, bias.data.length]);
}
