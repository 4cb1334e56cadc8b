/**
 * Rotary position embedding of the query and key heads of qkv [N, (nHeads + 2 nKvHeads) headDim]; values are left alone.
 *
 * In place: no op in front saves its output. Backward: the inverse rotation, because a rotation's transpose is its
 * inverse. Source: RoFormer (arXiv 2104.09864), in Hugging Face's half-split convention.
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';
import type { RopeShape } from '../backend.ts';
import type { FloatTensor, IntTensor } from '../tensor/tensor.ts';

/** cos and sin [positions, headDim / 2] of the rotation angles. */
export interface RotationTables {
  readonly cos: FloatTensor;
  readonly sin: FloatTensor;
}

interface Input {
  qkv: Value;
  /** Of each token, [N]. */
  positions: IntTensor;
  tables: RotationTables;
  shape: Omit<RopeShape, 'inverse'>;
}

export const rope: Op<Input, Input> = {
  name: 'rope',

  forward(tape, input) {
    const { qkv, positions, tables, shape } = input;
    tape.kernels.rope(qkv.dense!, positions, tables.cos, tables.sin, { ...shape, inverse: false });
    return { output: new Value(qkv.shape, { dense: qkv.dense }), saved: input, keep: [] };
  },

  backward(tape, { qkv, positions, tables, shape }, dOut) {
    const dense = tape.exclusive(tape.denseForm(dOut));
    tape.kernels.rope(dense, positions, tables.cos, tables.sin, { ...shape, inverse: true });
    tape.addGradient(qkv, { dense, rows: null });
  },
};
