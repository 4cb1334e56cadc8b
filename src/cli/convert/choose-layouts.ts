/**
 * Which layout the feed-forward of each layer gets: `channels` where so few gates are open that reading single channels of up beats streaming its
 * rows at the features that are kept. Measured by `qsparse bench layout`.
 */

import { type ModelConfig, sparsityAt } from '../../model/config.ts';
import type { FeedForwardLayout } from '../../model/packed-matrices.ts';

/**
 * The largest share of open gates, for each kept input, with which a token in `channels` is no slower, with weights of any type. `fused` reads the
 * kept share of up and `channels` the open one, so that by bytes alone this is 1; but a channel is a short run of memory that the hardware does not
 * see coming.
 */
export const OPEN_PER_KEPT = 0.4;

/** From the share of open gates of each layer. */
export function chooseLayouts(openGates: readonly number[], config: ModelConfig): FeedForwardLayout[] {
  return openGates.map((open, layer) => {
    const kept = 1 - sparsityAt(config, 'gateUp', layer);
    return open < OPEN_PER_KEPT * kept ? 'channels' : 'fused';
  });
}
