/** Recipes are shared by the commands that train, and a command that has not got what a recipe asks for says so before anything is read. */

import type { TrainConfig } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';

/** `qsparse continue` alone reads the data that a replayed share comes from. Throws UsageError for such a share; `command` is the one that asks. */
export function refuseReplay({ replayShare }: Pick<TrainConfig, 'replayShare'>, command: string): void {
  if (replayShare === 0) return;
  const advice = 'Take it out of the recipe, or use qsparse continue with --replay';
  throw new UsageError(command, `replayShare must be 0 outside of qsparse continue, got ${replayShare}. ${advice}.`);
}

/** Fresh weights are no teacher, and nothing to adapt. Throws UsageError for a recipe of a model that exists. */
export function refuseWithoutModel(train: Pick<TrainConfig, 'distill' | 'loraRank'>, command: string): void {
  for (const field of ['distill', 'loraRank'] as const) {
    if (train[field] === 0) continue;
    const advice = 'Take it out of the recipe, or begin with a model: qsparse continue, qsparse sft';
    throw new UsageError(
      command,
      `${field} must be 0 where training begins with fresh weights, got ${train[field]}. ${advice}.`,
    );
  }
}
