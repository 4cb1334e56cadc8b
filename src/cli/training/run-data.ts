/** What a command that trains hands to the trainer, and what is told of it. */

import type { TrainingData } from '../../train/trainer.ts';

/** Batches, and how much text there is. */
export interface RunData extends TrainingData {
  /** Of one epoch. */
  readonly trainTokens: number;
  /** In words, where it is more than a text. */
  readonly description?: string;
}
