/** Small elements of a gradient to zero or to the threshold, by a chance that keeps their mean. Source: Ye et al., arXiv 1908.00173, section 3. */

import { chanceOf } from '../../tensor/chance.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';

const CHANCE_BITS = 24;

export function pruneByChance(x: FloatTensor, threshold: number, seed: number): void {
  const { data } = x;
  // Rounded where the kernels in C round, so that they decide alike.
  const round = x.dtype === 'f32' ? Math.fround : (value: number) => value;
  const full = round(threshold);
  const unit = full / 2 ** CHANCE_BITS;
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i]);
    if (!(size < full)) continue;
    const isKept = round((chanceOf(i, seed) >>> (32 - CHANCE_BITS)) * unit) < size;
    data[i] = isKept ? Math.sign(data[i]) * full : 0;
  }
}
