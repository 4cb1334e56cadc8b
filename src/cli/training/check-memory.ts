/**
 * Refuses a model that this machine cannot hold, before minutes go into text and memory: the system would swap, or end the
 * process without a word.
 */

import type { ModelConfig } from '../../model/config.ts';
import { blockParameters } from '../../model/flops.ts';
import { countParameters } from '../../model/parameters.ts';
import { MOMENT_BLOCK } from '../../tensor/block-moments.ts';
import type { OptimizerState } from '../../train/adamw.ts';
import type { TrainConfig } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes, formatCount } from '../../util/format.ts';
import { describeMachine } from '../shared/machine.ts';

/** f32: the value and its gradient, two moments, and what is multiplied in its place in a ternary model. Activations come on top. */
const BYTES_PER_PARAMETER = 8;
const BYTES_PER_MOMENTS: Readonly<Record<OptimizerState, number>> = { f32: 8, int8: 2 + 8 / MOMENT_BLOCK };
const BYTES_PER_TERNARY_WEIGHT = 4;
const BYTES_PER_TEACHER_WEIGHT = 4;

type StateOptions = Pick<TrainConfig, 'optimizerState' | 'distill'>;

/** Of parameters, gradients, moments, a teacher, and what is multiplied in the place of latent weights. */
export function parameterBytes(model: ModelConfig, { optimizerState, distill }: StateOptions): number {
  const ternary = model.weightFormat === 'ternary' ? blockParameters(model) : 0;
  const teacher = distill > 0 ? BYTES_PER_TEACHER_WEIGHT : 0;
  const perParameter = BYTES_PER_PARAMETER + BYTES_PER_MOMENTS[optimizerState] + teacher;
  return countParameters(model) * perParameter + ternary * BYTES_PER_TERNARY_WEIGHT;
}

/** Throws UsageError where parameters, gradients and moments alone exceed `memoryBytes`. */
export function checkMemory(
  model: ModelConfig,
  train: StateOptions,
  memoryBytes = describeMachine().memoryBytes,
): void {
  const needed = parameterBytes(model, train);
  if (needed <= memoryBytes) return;
  throw new UsageError(
    'train',
    `the model does not fit: ${formatCount(countParameters(model))} parameters with gradients and moments take ${formatBytes(needed)}, ` +
      `this machine has ${formatBytes(memoryBytes)}. Choose a smaller --preset, --dim, --layers or --vocab-size.`,
  );
}
