/**
 * Routing of tokens to experts, its gradient, and the sum of what the experts give back.
 *
 * With p = softmax(l) and C the chosen experts, the share of a chosen one is s = p / sum over C of p, which is the softmax of the logits in C
 * alone. So a gradient g of the shares is s (g - sum over C of s g) at the logits, one of the probabilities p (g - sum of p g), and that of
 * z = (log sum exp)^2 is 2 log sum exp p.
 */

import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor, IntTensor } from '../../tensor/tensor.ts';
import { columnsOf, elementsOf, rowsOf } from '../matrix-shape.ts';

export function routeTokens(logits: FloatTensor, kept: number, chosen: SparseRows, logSumExp: FloatTensor): void {
  const experts = columnsOf(logits);
  chosen.start.data[0] = 0;
  for (let r = 0; r < rowsOf(logits); r++) {
    const row = logits.data.subarray(r * experts, (r + 1) * experts);
    const byLogit = Array.from(row, (_, e) => e).sort((i, j) => compareLogits(row[i], row[j]) || i - j);
    const best = byLogit.slice(0, kept).sort((i, j) => i - j);
    let largest = Number.NEGATIVE_INFINITY;
    for (const logit of row) largest = Math.max(largest, logit);
    let sum = 0;
    for (const logit of row) sum += Math.exp(logit - largest);
    logSumExp.data[r] = Math.log(sum) + largest;
    for (let e = 0; e < experts; e++) row[e] = Math.exp(row[e] - largest) / sum;
    const sumOfChosen = best.reduce((total, e) => total + row[e], 0);
    for (let i = 0; i < kept; i++) {
      chosen.index.data[r * kept + i] = best[i];
      chosen.value.data[r * kept + i] = row[best[i]] / sumOfChosen;
    }
    chosen.start.data[r + 1] = (r + 1) * kept;
  }
}

/** Negative where a comes before b: the larger first, NaN before everything, all NaN equal, -0 equal to 0. */
function compareLogits(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

export function routeTokensBackward(
  probabilities: FloatTensor,
  chosen: SparseRows,
  logSumExp: FloatTensor,
  dShare: FloatTensor,
  balance: FloatTensor,
  zScale: number,
  dLogits: FloatTensor,
): void {
  const experts = columnsOf(probabilities);
  for (let r = 0; r < rowsOf(probabilities); r++) {
    const p = probabilities.data.subarray(r * experts, (r + 1) * experts);
    let meanBalance = 0;
    for (let e = 0; e < experts; e++) meanBalance += p[e] * balance.data[e];
    const ofZ = 2 * zScale * logSumExp.data[r];
    const gradient = Array.from(p, (probability, e) => probability * (balance.data[e] - meanBalance + ofZ));
    let meanShare = 0;
    const [first, last] = [chosen.start.data[r], chosen.start.data[r + 1]];
    for (let i = first; i < last; i++) meanShare += chosen.value.data[i] * dShare.data[i];
    for (let i = first; i < last; i++) {
      gradient[chosen.index.data[i]] += chosen.value.data[i] * (dShare.data[i] - meanShare);
    }
    dLogits.data.set(gradient, r * experts);
  }
}

export function addRowsAt(x: FloatTensor, scale: FloatTensor, ids: IntTensor, out: FloatTensor): void {
  const cols = columnsOf(out);
  for (let r = 0; r < elementsOf(ids); r++) {
    for (let c = 0; c < cols; c++) out.data[ids.data[r] * cols + c] += scale.data[r] * x.data[r * cols + c];
  }
}
