/**
 * Warm-up and ramps end within the run: with a longer one the rate, the sparsity or the L1 term would still grow at its last step.
 *
 * Those of a recipe are made for its length. Where an option gives another one they take at most half of it, and so do those of a run that is
 * made shorter on resume; what an option asks for is refused instead.
 */

import type { TrainConfig, TrainConfigInput } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';

const RAMPS = [
  ['warmupSteps', '--warmup'],
  ['sparsityRampSteps', '--sparsity-ramp'],
  ['hiddenL1RampSteps', '--hidden-l1-ramp'],
] as const;

/**
 * `train` with ramps that end within it; `options` is what the command line gives of it. A run that goes on keeps those of `saved` where neither they
 * nor its end have come closer, so that it stays one run. Throws UsageError for a ramp that is too long.
 */
export function fitRamps(train: TrainConfig, options: TrainConfigInput, saved?: TrainConfig): TrainConfig {
  const hasLength = options.steps !== undefined || options.tokens !== undefined;
  const isOtherLength = saved === undefined ? hasLength : train.steps < saved.steps;
  const fitted = { ...train };
  for (const [field, option] of RAMPS) {
    if (saved !== undefined && !isOtherLength && train[field] === saved[field]) continue;
    if (options[field] === undefined && isOtherLength) {
      fitted[field] = Math.min(train[field], Math.floor(train.steps / 2));
    } else if (train[field] > 0 && train[field] >= train.steps) {
      throw new UsageError(
        options[field] === undefined ? field : option,
        `must end within the run: expected fewer than its ${train.steps} steps, got ${train[field]}. Give fewer, or a longer run.`,
      );
    }
  }
  return fitted;
}
