/**
 * The key `qsparse` of another program's configuration: what this project computes beyond the dense model that the rest of it describes.
 *
 * Other programs ignore it and run the dense function; who reads it back has the sparse model again. Its fields are those of our config.json, and
 * only those that say which inputs of projections stay and how they are rounded: shapes and numbers of the dense model stand in the other
 * program's own words.
 */

import { isAboveZero, type ModelConfig, POINTS, THRESHOLD_PLACES } from './config.ts';
import type { ModelConfigInput } from './resolve-config.ts';

export const QSPARSE_KEY = 'qsparse';

const FIELDS = [
  'sparsifier',
  'sparsity',
  'blockSize',
  'thresholds',
  'gradient',
  'activationFormat',
] as const satisfies readonly (keyof ModelConfig)[];

export type QsparseKey = Partial<Pick<ModelConfig, (typeof FIELDS)[number]>>;

/** What to write under the key; null for a model that is dense and not rounded. */
export function qsparseKeyOf(config: ModelConfig): QsparseKey | null {
  const { sparsifier, sparsity, blockSize, thresholds, gradient, activationFormat } = config;
  const selects = isSparse(config);
  if (!selects && activationFormat === 'float') return null;
  return {
    sparsifier: selects ? sparsifier : 'none',
    ...(selects && (sparsifier === 'topk' || sparsifier === 'block') && { sparsity }),
    ...(selects && sparsifier === 'block' && { blockSize }),
    ...(selects && sparsifier === 'threshold' && { thresholds }),
    ...(selects && { gradient }),
    activationFormat,
  };
}

/** Does anything drop inputs of projections? Natural zeros behind ReLU gates aside. */
export function isSparse({ sparsifier, sparsity, thresholds }: ModelConfig): boolean {
  if (sparsifier === 'none') return false;
  if (sparsifier === 'topk' || sparsifier === 'block') return POINTS.some((point) => isAboveZero(sparsity[point]));
  if (sparsifier === 'threshold') return THRESHOLD_PLACES.some((place) => isAboveZero(thresholds[place]));
  return true;
}

/**
 * The fields of a key that was read, for `resolveConfig` to check beside the rest; an empty object where there is no key. Null for a value that is no
 * object or holds a field that does not belong there.
 */
export function fieldsOfQsparseKey(value: unknown): Partial<ModelConfigInput> | null {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) return null;
  const known = Object.keys(value).every((field) => (FIELDS as readonly string[]).includes(field));
  return known ? (value as Partial<ModelConfigInput>) : null;
}
