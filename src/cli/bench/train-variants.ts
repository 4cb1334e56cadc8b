/**
 * The variants of a training step that `bench train` measures in turns: which inputs are set to zero, which zeros are skipped, and in
 * which precision the products are.
 *
 * The yardstick is the dense twin: sparsity 0 with nothing skipped, as a dense program would run it. Sparsity 0 with all skips on is not dense
 * where gates are ReLU: its natural zeros are skipped. So the two effects, closed gates and top-K, can be told apart.
 */

import { ALL_SKIPS, NO_SKIPS, type ZeroSkips } from '../../autograd/zero-skips.ts';
import type { Precision } from '../../backend.ts';
import { UsageError } from '../../util/errors.ts';

export const PRECISIONS: readonly Precision[] = ['f32', 'bf16'];
export type SkipName = keyof ZeroSkips;
export const SKIP_NAMES = Object.keys(ALL_SKIPS) as SkipName[];

export interface TrainVariant {
  precision: Precision;
  sparsity: number;
  skips: ZeroSkips;
  /** The one skip that is off to see what it gains; null where all are on or all are off. */
  without: SkipName | null;
}

/** The dense twin, then each sparsity with all skips on; `naturalZeros`: whether 0 among them differs from the twin. */
export function sparsityVariants(
  precisions: readonly Precision[],
  sparsities: readonly number[],
  { naturalZeros }: { naturalZeros: boolean },
): TrainVariant[] {
  const shares = [...new Set(sparsities)].filter((sparsity) => naturalZeros || sparsity > 0);
  return [...new Set(precisions)].flatMap((precision) => [
    denseTwin(precision),
    ...shares.map((sparsity) => ({ precision, sparsity, skips: ALL_SKIPS, without: null })),
  ]);
}

/** The dense twin, then one sparsity with all skips on, with each of them off alone, and with none (at 0 that is the twin). */
export function skipVariants(precisions: readonly Precision[], sparsities: readonly number[]): TrainVariant[] {
  if (sparsities.length !== 1) {
    throw new UsageError('--skips', `expected one --sparsity to measure the skips at, got ${sparsities.length}.`);
  }
  const [sparsity] = sparsities;
  return [...new Set(precisions)].flatMap((precision): TrainVariant[] => [
    denseTwin(precision),
    { precision, sparsity, skips: ALL_SKIPS, without: null },
    ...SKIP_NAMES.map((without) => ({ precision, sparsity, skips: { ...ALL_SKIPS, [without]: false }, without })),
    ...(sparsity > 0 ? [{ precision, sparsity, skips: NO_SKIPS, without: null }] : []),
  ]);
}

function denseTwin(precision: Precision): TrainVariant {
  return { precision, sparsity: 0, skips: NO_SKIPS, without: null };
}

export function isDenseTwin({ sparsity, skips }: TrainVariant): boolean {
  return sparsity === 0 && skips === NO_SKIPS;
}

/** `all`, `none` or `all but up`. */
export function skipsText({ skips, without }: TrainVariant): string {
  if (without !== null) return `all but ${without}`;
  return skips === NO_SKIPS ? 'none' : 'all';
}
