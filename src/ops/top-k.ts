/**
 * Top-K selection: out = x . M, M = the `kept` largest |x| of each token, ties to the lower index, exactly `kept`.
 *
 * M is not differentiable. Straight-through: dX = dOut, for selected and dropped features alike, so that a feature which
 * is dropped today can learn to return. Masked (the ablation): dX = dOut . M, the derivative with M held fixed.
 * Source: Q-Sparse (arXiv 2407.10969), eq. 3, 12 and 13.
 */

import type { Op } from '../autograd/op.ts';
import { Value } from '../autograd/value.ts';

export type SelectionGradient = 'straight-through' | 'masked';

interface Input {
  x: Value;
  kept: number;
  gradient: SelectionGradient;
}

export const topK: Op<Input, { x: Value; output: Value; gradient: SelectionGradient }> = {
  name: 'topK',

  forward(tape, { x, kept, gradient }) {
    const [nTokens, features] = x.shape;
    const rows = tape.takeRows(nTokens, features, nTokens * kept);
    tape.kernels.selectTopK(x.dense!, kept, rows);
    const output = new Value(x.shape, { rows });
    return { output, saved: { x, output, gradient }, keep: gradient === 'masked' ? [rows] : [] };
  },

  backward(tape, { x, output, gradient }, dOut) {
    if (gradient === 'straight-through') {
      tape.addGradient(x, dOut);
    } else {
      const dense = tape.exclusive(tape.denseForm(dOut));
      tape.kernels.maskRows(dense, output.rows!, dense);
      tape.addGradient(x, { dense, rows: null });
    }
  },
};
