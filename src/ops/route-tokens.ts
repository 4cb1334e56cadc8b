/**
 * Token-choice router: logits = x Wr^T [N, E], p = softmax(logits); out [N, E] = for each token the `chosen` experts with the largest p (ties to
 * the lower index), each with its share p / sum of the chosen p.
 *
 * The choice is not differentiable, the shares are; of a single chosen expert the share is 1, a constant, and the loss says nothing to the router. Two terms of the loss see the probabilities themselves, and put their derivative straight
 * into the backward: the load balance E * sum over experts of f P, f = share of all choices (a constant), P = mean probability; and z, the
 * mean of (log sum exp logits)^2. All of it is f32 whatever the precision of the tape: a choice should not hang on 8 bits.
 * Sources: Switch Transformers (arXiv 2101.03961) for the balance, ST-MoE (arXiv 2202.08906) for z, Mixtral (arXiv 2401.04088) for the shares.
 */

import type { Op } from '../autograd/op.ts';
import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { Value } from '../autograd/value.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

/** What a router did with the tokens of a pass. */
export interface Routing {
  /** f: the share of all choices that fell on each expert, [E]; they sum to 1. */
  readonly load: Float64Array;
  /** E * sum of f P: 1 where all experts are chosen alike, up to E. */
  readonly loadBalance: number;
  /** Mean of (log sum exp)^2. */
  readonly z: number;
}

interface Input {
  /** [N, D], not selected. */
  x: Value;
  /** [E, D] */
  weight: Weight;
  chosen: number;
  /** Factors of the two terms in the loss that is differentiated; 0 for none. */
  weights: { loadBalance: number; z: number };
  observe?: ((routing: Routing) => void) | undefined;
}

interface Saved extends Pick<Input, 'x' | 'weight' | 'weights'> {
  probabilities: FloatTensor;
  logSumExp: FloatTensor;
  rows: SparseRows;
  load: Float64Array;
}

export const routeTokens: Op<Input, Saved> = {
  name: 'routeTokens',

  forward(tape, { x, weight, chosen, weights, observe }) {
    const nTokens = x.shape[0];
    const [nExperts, dim] = weight.value.shape;
    const probabilities = tape.take([nTokens, nExperts]);
    const logSumExp = tape.take([nTokens]);
    const rows = tape.takeRows(nTokens, nExperts, nTokens * chosen);
    tape.enter('product', 'Y');
    tape.kernels.matmul(x.dense!, weight.value, probabilities, { transposeB: true });
    tape.exit();
    tape.flops += 2 * nTokens * nExperts * dim;
    tape.kernels.routeTokens(probabilities, chosen, rows, logSumExp);
    const routing = describe(probabilities, rows, logSumExp);
    observe?.(routing);
    const output = new Value([nTokens, nExperts], { rows });
    const saved = { x, weight, weights, probabilities, logSumExp, rows, load: routing.load };
    return { output, saved, keep: [x.dense!, probabilities, logSumExp, rows] };
  },

  backward(tape, saved, dOut) {
    const { x, weight, probabilities, logSumExp, rows } = saved;
    const dLogits = tape.take(probabilities.shape);
    const { balance, zScale } = gradientsOfTerms(tape, saved);
    tape.kernels.routeTokensBackward(probabilities, rows, logSumExp, dOut.rows!.value, balance, zScale, dLogits);
    tape.enter('product', 'dW');
    if (weight.gradient) {
      tape.kernels.matmul(dLogits, x.dense!, weight.gradient, { transposeA: true, accumulate: true });
    }
    tape.exit();
    tape.enter('product', 'dX');
    const { dense, accumulate } = tape.gradientTarget(x);
    tape.kernels.matmul(dLogits, weight.value, dense, { accumulate });
    tape.exit();
    tape.flops += (weight.gradient ? 4 : 2) * dLogits.data.length * weight.value.shape[1];
  },
};

/** Experts are few: these sums cost nothing beside the products. */
function describe(probabilities: FloatTensor, rows: SparseRows, logSumExp: FloatTensor): Routing {
  const [nTokens, nExperts] = probabilities.shape;
  const choices = rows.start.data[nTokens];
  const load = new Float64Array(nExperts);
  for (let i = 0; i < choices; i++) load[rows.index.data[i]] += 1 / choices;
  let loadBalance = 0;
  for (let i = 0; i < nTokens * nExperts; i++) {
    loadBalance += (load[i % nExperts] * probabilities.data[i] * nExperts) / nTokens;
  }
  let z = 0;
  for (let r = 0; r < nTokens; r++) z += logSumExp.data[r] ** 2 / nTokens;
  return { load, loadBalance, z };
}

/** d(terms) / d(probabilities), the same in every row, and the factor of (log sum exp)^2. */
function gradientsOfTerms(
  tape: Tape,
  { probabilities, weights, load }: Saved,
): { balance: FloatTensor; zScale: number } {
  const [nTokens, nExperts] = probabilities.shape;
  const balance = tape.take([nExperts]);
  for (let e = 0; e < nExperts; e++) balance.data[e] = (weights.loadBalance * nExperts * load[e]) / nTokens;
  return { balance, zScale: weights.z / nTokens };
}
