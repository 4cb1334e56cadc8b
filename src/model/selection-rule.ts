/**
 * The rule that a configuration puts at a point: which inputs of the projections there stay. The same in training and inference.
 */

import type { SelectionRule } from '../ops/sparsify.ts';
import { UsageError } from '../util/errors.ts';
import { featuresAt, keptCount, type ModelConfig, type Point, sparsityAt, thresholdAt } from './config.ts';

export const ALL = { keeps: 'all' } as const;
const POSITIVE = { keeps: 'positive' } as const;

/**
 * `scale`, 0 (dense) .. 1, multiplies shares and thresholds: for a schedule; a ReLU has nothing to scale. `sparsity` stands for the
 * configured one. Throws UsageError for blocks that do not come out even.
 */
export function selectionRule(
  config: ModelConfig,
  point: Point,
  layer: number,
  { scale = 1, sparsity = sparsityAt(config, point, layer) }: { scale?: number; sparsity?: number } = {},
): SelectionRule {
  const features = featuresAt(config, point);
  switch (config.sparsifier) {
    case 'topk': {
      const kept = keptCount(scale * sparsity, features);
      return kept < features ? { keeps: 'largest', kept } : ALL;
    }
    case 'block': {
      const { blockSize } = config;
      const kept = keptCount(scale * sparsity, blockSize);
      if (kept === blockSize) return ALL;
      if (features % blockSize > 0) throw uneven(point, features, blockSize);
      return { keeps: 'largestOfBlocks', kept, blockSize };
    }
    case 'relu':
      return POSITIVE;
    case 'norm-relu':
      return point === 'qkv' || point === 'gateUp' ? POSITIVE : ALL;
    case 'drelu':
      return point === 'down' ? POSITIVE : ALL;
    case 'threshold': {
      const threshold = scale * thresholdAt(config, point, layer);
      return threshold > 0 ? { keeps: 'reaching', threshold } : ALL;
    }
    case 'none':
      return ALL;
  }
}

/** What |act(gate)| must reach in a layer for its channel to stay; 0: anything. `scale` as above. */
export function gateThreshold(config: ModelConfig, layer: number, scale = 1): number {
  return config.sparsifier === 'threshold' ? scale * thresholdAt(config, 'gate', layer) : 0;
}

/** The most features that stay of `features`: all where no rule counts them. */
export function mostKept(rule: SelectionRule, features: number): number {
  if (rule.keeps === 'largest') return rule.kept;
  return rule.keeps === 'largestOfBlocks' ? (rule.kept * features) / rule.blockSize : features;
}

/** Do two rules of one point of one model keep the same? Only counts of features can differ there. */
export function isSameRule(a: SelectionRule, b: SelectionRule): boolean {
  return a === b || (a.keeps === b.keeps && keptOf(a) === keptOf(b));
}

function keptOf(rule: SelectionRule): number {
  return 'kept' in rule ? rule.kept : 0;
}

function uneven(point: Point, features: number, blockSize: number): UsageError {
  const what = `${point} has ${features} features, which blocks of ${blockSize} do not divide`;
  return new UsageError(
    'sparsity',
    `${what}: expected a sparsity of 0 there. Leave the point out, or change blockSize.`,
  );
}
