/**
 * Refuses a model that this machine cannot hold, before minutes go into text and memory: the system would swap, or end the
 * process without a word.
 */

import { totalmem } from 'node:os';
import type { ModelConfig } from '../../model/config.ts';
import { blockParameters } from '../../model/flops.ts';
import { countParameters } from '../../model/parameters.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes, formatCount } from '../../util/format.ts';

/** f32: the value, its gradient and two moments, and what is multiplied in its place in a ternary model. Activations come on top. */
const BYTES_PER_PARAMETER = 16;
const BYTES_PER_TERNARY_WEIGHT = 4;

/** Of parameters, gradients, moments and what is multiplied in the place of latent weights. */
export function parameterBytes(model: ModelConfig): number {
  const ternary = model.weightFormat === 'ternary' ? blockParameters(model) : 0;
  return countParameters(model) * BYTES_PER_PARAMETER + ternary * BYTES_PER_TERNARY_WEIGHT;
}

/** Throws UsageError where parameters, gradients and moments alone exceed `memoryBytes`. */
export function checkMemory(model: ModelConfig, memoryBytes = totalmem()): void {
  const needed = parameterBytes(model);
  if (needed <= memoryBytes) return;
  throw new UsageError(
    'train',
    `the model does not fit: ${formatCount(countParameters(model))} parameters with gradients and moments take ${formatBytes(needed)}, ` +
      `this machine has ${formatBytes(memoryBytes)}. Choose a smaller --preset, --dim, --layers or --vocab-size.`,
  );
}
