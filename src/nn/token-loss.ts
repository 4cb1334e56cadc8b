/**
 * The loss of a batch: only the tokens that count meet the head, the largest matrix of a small model.
 *
 * In fine-tuning the questions and what is left at the ends of rows have no target. They are left out in front of the head, so that neither their
 * logits nor the gradients of these are computed; where every token counts nothing is copied.
 */

import type { Tape } from '../autograd/tape.ts';
import { type CrossEntropyInput, countTargets, crossEntropy, type TokenLoss } from '../ops/cross-entropy.ts';
import { gatherTokens } from '../ops/gather-tokens.ts';
import type { FloatTensor, IntTensor } from '../tensor/tensor.ts';

/** What `crossEntropy` says of the same input. */
export function tokenLoss(tape: Tape, input: CrossEntropyInput): TokenLoss {
  const counted = countTargets(input.targets);
  if (counted === input.targets.data.length || counted === 0) return tape.apply(crossEntropy, input);
  const { tokens, targets } = tokensThatCount(tape, input.targets, counted);
  tape.enter('point', 'head');
  const hidden = tape.apply(gatherTokens, { x: input.hidden, tokens });
  const { teacher: whole } = input;
  const teacher = whole ? { ...whole, hidden: rowsAt(tape, whole.hidden, tokens) } : null;
  tape.exit();
  return tape.apply(crossEntropy, { ...input, hidden, targets, teacher });
}

/** The places of the targets other than -1, ascending, and these targets. */
function tokensThatCount(tape: Tape, all: IntTensor, counted: number): { tokens: IntTensor; targets: IntTensor } {
  const [tokens, targets] = [tape.takeInts(counted), tape.takeInts(counted)];
  let next = 0;
  for (const [token, target] of all.data.entries()) {
    if (target === -1) continue;
    tokens.data[next] = token;
    targets.data[next++] = target;
  }
  return { tokens, targets };
}

function rowsAt(tape: Tape, table: FloatTensor, rows: IntTensor): FloatTensor {
  const picked = tape.take([rows.data.length, table.shape[1]]);
  tape.kernels.embedding(rows, table, picked);
  return picked;
}
