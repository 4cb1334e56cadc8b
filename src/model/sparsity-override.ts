/**
 * A sparsity chosen at run time in place of the configured one: for all points, by point, or by point and layer.
 *
 * The mask rule needs no training to be applied, so one checkpoint runs dense, as trained, and sparser: a knob between speed and quality.
 */

import { UsageError } from '../util/errors.ts';
import { featuresAt, keptCount, type ModelConfig, POINTS, type Point, type Sparsity, sparsityAt } from './config.ts';

/** One number: the four points alike, except that 0 .. behind a ReLU gate `down` keeps its natural zeros unless it is named. */
export type SparsityOverride = number | Partial<Record<Point, Sparsity>>;

/** `kept` of each point and layer. Throws UsageError for a value outside of [0, 1) or a list of another length than the layers. */
export function keptCounts(
  config: ModelConfig,
  override: SparsityOverride | undefined = undefined,
  scale = 1,
): Record<Point, readonly number[]> {
  const at = (point: Point) =>
    Array.from({ length: config.nLayers }, (_, layer) =>
      keptCount(overriddenAt(config, override, point, layer) * scale, featuresAt(config, point)),
    );
  return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down') };
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
