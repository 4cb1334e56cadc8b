/**
 * Which layout the feed-forward of each layer gets: `channels` where so few gates are open that reading single channels beats streaming whole rows.
 */

import type { FeedForwardLayout } from '../../model/packed-matrices.ts';

/**
 * A channel costs a start of its own: a run of memory that the hardware does not see coming. With few of them open that is less than the
 * part of up that `fused` reads for closed ones.
 */
export const CHANNELS_BELOW_OPEN_SHARE = 0.15;

/** From the share of open gates of each layer. */
export function chooseLayouts(openGates: readonly number[]): FeedForwardLayout[] {
  return openGates.map((share) => (share < CHANNELS_BELOW_OPEN_SHARE ? 'channels' : 'fused'));
}
