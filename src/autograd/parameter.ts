/**
 * A tensor of the model as the ops see it. What it is called in a checkpoint, how it is initialised and whether it decays
 * belongs to the model (`model/parameters.ts`).
 */

import type { FloatTensor } from '../tensor/tensor.ts';

export interface Weight {
  readonly value: FloatTensor;
  /** Same shape and dtype; every backward pass adds to it, the optimiser clears it. null: the weight is not trained. */
  readonly gradient: FloatTensor | null;
  /** What is trained in the place of a projection. */
  readonly adapter?: Adapter;
}

export interface TrainedWeight extends Weight {
  readonly gradient: FloatTensor;
}

/** The value of a projection [in, out] is some fixed matrix + scale a b (LoRA). */
export interface Adapter {
  /** [in, rank] */
  readonly a: TrainedWeight;
  /** [rank, out] */
  readonly b: TrainedWeight;
  readonly scale: number;
}
