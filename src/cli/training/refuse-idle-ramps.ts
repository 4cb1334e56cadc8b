/** A ramp of what the model has not would run to its end without a word, and look like a result. */

import { type ModelConfig, POINTS } from '../../model/config.ts';
import { UsageError } from '../../util/errors.ts';
import type { RunOptions } from './run-options.ts';

/** Throws UsageError for a ramp that is asked for and has nothing to grow. */
export function refuseIdleRamps(
  { sparsityRamp = 0, hiddenL1Ramp = 0 }: Pick<RunOptions, 'sparsityRamp' | 'hiddenL1Ramp'>,
  model: ModelConfig,
): void {
  if (sparsityRamp > 0 && !growsSparsity(model)) {
    throw new UsageError('--sparsity-ramp', 'there is no sparsity to grow. Leave it out, or give --sparsity.');
  }
  if (hiddenL1Ramp > 0 && model.hiddenL1 === 0) {
    throw new UsageError('--hidden-l1-ramp', 'there is no L1 term to grow. Leave it out, or give --hidden-l1.');
  }
}

/** Shares and thresholds grow; the zeros of ReLUs are there or not. */
function growsSparsity({ sparsifier, sparsity, thresholds }: ModelConfig): boolean {
  if (sparsifier === 'threshold')
    return Object.values(thresholds)
      .flat()
      .some((threshold) => threshold > 0);
  if (sparsifier !== 'topk' && sparsifier !== 'block') return false;
  return POINTS.flatMap((point) => sparsity[point]).some((share) => share > 0);
}
