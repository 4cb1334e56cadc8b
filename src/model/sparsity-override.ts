/**
 * A sparsity chosen at run time in place of the configured one: for all points, by point, or by point and layer.
 *
 * The mask rule needs no training to be applied, so one checkpoint runs dense, as trained, and sparser: a knob between speed and quality.
 */

import type { SelectionRule } from '../ops/sparsify.ts';
import { UsageError } from '../util/errors.ts';
import { type ModelConfig, POINTS, type Point, type Sparsity, sparsityAt } from './config.ts';
import { selectionRule } from './selection-rule.ts';

/** One number: the four points alike, except that 0 .. behind a ReLU gate `down` keeps its natural zeros unless it is named. */
export type SparsityOverride = number | Partial<Record<Point, Sparsity>>;

/**
 * The rule of each point and layer. Throws UsageError for a value outside of [0, 1), a list of another length than the layers, blocks that do
 * not come out even, and any override of a sparsifier that takes no share.
 */
export function selectionRules(
  config: ModelConfig,
  override: SparsityOverride | undefined = undefined,
  scale = 1,
): Record<Point, readonly SelectionRule[]> {
  if (override !== undefined) checkOverridable(config);
  const at = (point: Point) =>
    Array.from({ length: config.nLayers }, (_, layer) =>
      selectionRule(config, point, layer, { scale, sparsity: overriddenAt(config, override, point, layer) }),
    );
  return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down') };
}

function checkOverridable({ sparsifier }: ModelConfig): void {
  if (sparsifier === 'topk' || sparsifier === 'block') return;
  const why = sparsifier === 'none' ? 'selects nothing' : `has the zeros that its ${sparsifier} makes`;
  throw new UsageError(
    'sparsity',
    `a model with sparsifier ${sparsifier} ${why}: no share can be chosen at run time. Leave the sparsity out.`,
  );
}

function overriddenAt(
  config: ModelConfig,
  override: SparsityOverride | undefined,
  point: Point,
  layer: number,
): number {
  if (override === undefined) return sparsityAt(config, point, layer);
  if (typeof override === 'number') {
    const natural = point === 'down' && config.activation !== 'silu';
    return natural ? sparsityAt(config, point, layer) : check(point, override);
  }
  const sparsity = override[point];
  if (sparsity === undefined) return sparsityAt(config, point, layer);
  if (typeof sparsity === 'number') return check(point, sparsity);
  if (sparsity.length !== config.nLayers) {
    throw new UsageError(
      'sparsity',
      `${point} needs a value for each of ${config.nLayers} layers, got ${sparsity.length}.`,
    );
  }
  return check(point, sparsity[layer]);
}

function check(point: Point, value: number): number {
  if (value >= 0 && value < 1) return value;
  throw new UsageError('sparsity', `${point} must be in [0, 1), got ${value}. Known points: ${POINTS.join(', ')}.`);
}
