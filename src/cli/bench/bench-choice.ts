/** Which model a bench runs: one from the disk or a named shape, and not both. */

import type { ModelConfig } from '../../model/config.ts';
import { preset } from '../../model/presets.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import { UsageError } from '../../util/errors.ts';

export interface ModelChoice {
  /** A run, a checkpoint or a packed model. */
  model: string | undefined;
  /** A preset. */
  shape: string | undefined;
}

/** Throws UsageError where both are given. */
export function checkChoice({ model, shape }: ModelChoice): void {
  if (model === undefined || shape === undefined) return;
  throw new UsageError('bench', `expected a MODEL or --shape, got both (${model}, --shape ${shape}). Leave one out.`);
}

/** The configuration alone, for benches that make their own weights. */
export function shapeConfig(shape: string, seqLen?: number): ModelConfig {
  return resolveConfig({ ...preset(shape), ...(seqLen !== undefined && { seqLen }) });
}

/** The shares to measure, dense first and each once. */
export function denseFirst(sparsities: readonly number[]): number[] {
  return [0, ...new Set(sparsities.filter((sparsity) => sparsity !== 0))];
}
