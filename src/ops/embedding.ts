/**
 * Token embedding: x [N, D] = table [V, D] at ids [N]. Backward: the rows of dX are added to the rows of dTable.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import { Value } from '../autograd/value.ts';
import type { IntTensor } from '../tensor/tensor.ts';

export const embedding: Op<{ ids: IntTensor; table: Weight }, { ids: IntTensor; table: Weight }> = {
  name: 'embedding',

  forward(tape, { ids, table }) {
    const dense = tape.take([ids.shape[0], table.value.shape[1]]);
    tape.kernels.embedding(ids, table.value, dense);
    const output = new Value([dense.shape[0], dense.shape[1]], { dense });
    return { output, saved: { ids, table }, keep: [] };
  },

  backward(tape, { ids, table }, dOut) {
    if (table.gradient) tape.kernels.embeddingBackward(ids, tape.denseForm(dOut), table.gradient);
  },
};
