/**
 * A trained tensor as the ops see it. What it is called in a checkpoint, how it is initialised and whether it decays
 * belongs to the model (`model/parameters.ts`).
 */

import type { FloatTensor } from '../tensor/tensor.ts';

export interface Weight {
  readonly value: FloatTensor;
  /** Same shape and dtype; every backward pass adds to it, the optimiser clears it. */
  readonly gradient: FloatTensor;
}
