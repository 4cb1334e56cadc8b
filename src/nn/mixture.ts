/**
 * Mixture of experts in the place of the one FFN: each token goes through the experts that its router chooses, and no others are computed.
 *
 * Capacity-free: an expert takes all tokens that choose it, a few or none, and no token is dropped. The router reads the input as it is before
 * the selection; the experts share what the selection leaves of it. Behind that an expert is the FFN of a dense model over its own
 * tokens, with the same skips. Sources: as in ops/route-tokens.ts.
 */

import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { combineExperts, type ExpertOutput } from '../ops/combine-experts.ts';
import { gatherTokens } from '../ops/gather-tokens.ts';
import { type Routing, routeTokens } from '../ops/route-tokens.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';

export interface MixtureOptions {
  /** [E, D] */
  router: Weight;
  /** Experts a token. */
  chosen: number;
  /** Factors of the two terms of the loss, 0 for none. */
  weights: { loadBalance: number; z: number };
  observe?: ((routing: Routing) => void) | undefined;
  /** One expert on the selected input of its tokens, [M, D] -> [M, D]. */
  ffn: (input: Value, expert: number) => Value;
}

type Tokens = Pick<ExpertOutput, 'tokens' | 'shares'>;

/** out [N, D] from x [N, D] as it is and as the selection leaves it. */
export function mixture(tape: Tape, x: Value, selected: Value, options: MixtureOptions): Value {
  const { router: weight, chosen, weights, observe, ffn } = options;
  tape.enter('point', 'router');
  const routed = tape.apply(routeTokens, { x, weight, chosen, weights, observe });
  tape.exit();

  const outputs: ExpertOutput[] = [];
  for (const [expert, { tokens, shares }] of tokensByExpert(tape, routed.rows!).entries()) {
    if (tokens.data.length === 0) continue;
    tape.enter('point', 'gateUp');
    const input = tape.apply(gatherTokens, { x: selected, tokens });
    tape.exit();
    outputs.push({ tokens, shares, y: ffn(input, expert) });
  }

  tape.enter('point', 'router');
  const out = tape.apply(combineExperts, { routed, outputs });
  tape.exit();
  return out;
}

/** By expert, the tokens that chose it and the share that each gave it: the transpose of the choice. */
function tokensByExpert(tape: Tape, chosen: SparseRows): Tokens[] {
  const byExpert = tape.takeRows(chosen.cols, chosen.rows, chosen.value.data.length);
  tape.kernels.transposeRows(chosen, byExpert);
  const { start, index, value } = byExpert;
  return Array.from({ length: chosen.cols }, (_, expert) => {
    const [first, last] = [start.data[expert], start.data[expert + 1]];
    const tokens = tape.takeInts(last - first);
    const shares = tape.take([last - first]);
    tokens.data.set(index.data.subarray(first, last));
    shares.data.set(value.data.subarray(first, last));
    return { tokens, shares };
  });
}
