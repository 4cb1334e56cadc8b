/** Recipes are shared by the commands that train, but `qsparse continue` alone reads the data that a replayed share comes from. */

import type { TrainConfig } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';

/** Throws UsageError for a share that nothing would be replayed for; `command` is the one that asks. */
export function refuseReplay({ replayShare }: Pick<TrainConfig, 'replayShare'>, command: string): void {
  if (replayShare === 0) return;
  const advice = 'Take it out of the recipe, or use qsparse continue with --replay';
  throw new UsageError(command, `replayShare must be 0 outside of qsparse continue, got ${replayShare}. ${advice}.`);
}
