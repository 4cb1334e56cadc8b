/**
 * Sparsification: out = x . M, where a rule says for each token which features stay; the result is the list of them.
 *
 * M is not differentiable. Straight-through: dX = dOut, for selected and dropped features alike, so that a feature which
 * is dropped today can learn to return. Masked: dX = dOut . M, the derivative with M held fixed; for the positive features it is that of
 * the ReLU. Sources: Q-Sparse (arXiv 2407.10969), eq. 3, 12 and 13, its section on N:M; TEAL (arXiv 2408.14690); ReLUfication (arXiv 2310.04564).
 */

import type { Op } from '../autograd/op.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor, IntTensor } from '../tensor/tensor.ts';

/** Which features of a token stay; all but `positive` go by the magnitude. Ties go to the lower index, NaN always stays. */
export type SelectionRule =
  | { readonly keeps: 'all' }
  /** So many of all features. */
  | { readonly keeps: 'largest'; readonly kept: number }
  /** So many of each block of consecutive features, which come out even. */
  | { readonly keeps: 'largestOfBlocks'; readonly kept: number; readonly blockSize: number }
  /** Those above 0: ReLU. */
  | { readonly keeps: 'positive' }
  /** Those that are not below a threshold above 0. */
  | { readonly keeps: 'reaching'; readonly threshold: number };

export type SelectionGradient = 'straight-through' | 'masked';

interface Input {
  x: Value;
  rule: Exclude<SelectionRule, { keeps: 'all' }>;
  gradient: SelectionGradient;
}

export const sparsify: Op<Input, { x: Value; output: Value; gradient: SelectionGradient }> = {
  name: 'sparsify',

  forward(tape, { x, rule, gradient }) {
    const rows = listOf(tape, tape.denseForm(x), rule);
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

function listOf(tape: Tape, x: FloatTensor, rule: Input['rule']): SparseRows {
  const [nTokens, features] = x.shape;
  const { kernels } = tape;
  switch (rule.keeps) {
    case 'largest': {
      const rows = tape.takeRows(nTokens, features, nTokens * rule.kept);
      kernels.selectTopK(x, rule.kept, rows);
      return rows;
    }
    case 'largestOfBlocks': {
      const rows = tape.takeBlockRows(nTokens, features, rule.kept, rule.blockSize);
      kernels.selectBlockTopK(x, rows);
      return rows;
    }
    case 'positive':
      return inTwoPasses(
        tape,
        x,
        (start) => kernels.countOpenGates(x, features, start),
        (rows) => kernels.gatherOpenGates(x, rows),
      );
    case 'reaching':
      return inTwoPasses(
        tape,
        x,
        (start) => kernels.countNonZeros(x, start, rule.threshold),
        (rows) => kernels.gatherNonZeros(x, rows, rule.threshold),
      );
  }
}

/** A count, then a fill. */
function inTwoPasses(
  tape: Tape,
  { shape: [nTokens, features] }: FloatTensor,
  count: (start: IntTensor) => void,
  fill: (rows: SparseRows) => void,
): SparseRows {
  const start = tape.takeInts(nTokens + 1);
  count(start);
  const rows = tape.takeRows(nTokens, features, start.data[nTokens], start);
  fill(rows);
  return rows;
}
