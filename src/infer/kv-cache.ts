/**
 * KvCache: the memory of the keys and values of all layers and sequences, taken once.
 *
 * A sequence has a slot of so many positions in every layer (tensor/kv-slots.ts). Keys are stored rotated, since their angle never
 * changes. Q-Sparse leaves the cache alone: only inputs of projections are selected. Positions past the end of a sequence are stale
 * and never read, hence nothing is cleared. With a sliding window a slot is a ring of the window and one batch.
 */

import type { Arena } from '../arena.ts';
import type { ModelConfig } from '../model/config.ts';
import { KV_DTYPES, type KvSlots, type KvType, kvShapes, wholeKvBlocks } from '../tensor/kv-slots.ts';
import { BYTES_PER_ELEMENT } from '../tensor/tensor.ts';

export interface KvCacheOptions {
  type: KvType;
  slots: number;
  /** Of a whole sequence. */
  maxTokens: number;
  /** Of one batch: so many positions are written before the first of them is read. */
  maxBatchTokens: number;
}

/** 0 where the window is as long as the sequences, which is none. */
function windowWithin({ slidingWindow }: ModelConfig, maxTokens: number): number {
  return slidingWindow < maxTokens ? slidingWindow : 0;
}

/** Positions that a slot holds at the same time: of a whole sequence, or of the window and one batch. */
export function kvPositions(
  config: ModelConfig,
  { maxTokens, maxBatchTokens }: Pick<KvCacheOptions, 'maxTokens' | 'maxBatchTokens'>,
): number {
  const window = windowWithin(config, maxTokens);
  return wholeKvBlocks(window === 0 ? maxTokens : Math.min(maxTokens, window + maxBatchTokens));
}

export class KvCache {
  /** Layer by layer. */
  readonly layers: readonly KvSlots[];
  /** Tokens that a token attends to; 0: all before it. */
  readonly window: number;
  /** Positions that a slot holds at the same time. */
  readonly positions: number;
  /** Keys and values of one position in all layers, with their scales. */
  readonly bytesPerPosition: number;

  constructor(config: ModelConfig, { type, slots, maxTokens, maxBatchTokens }: KvCacheOptions, arena: Arena) {
    const { nLayers, nKvHeads, headDim } = config;
    this.window = windowWithin(config, maxTokens);
    this.positions = kvPositions(config, { maxTokens, maxBatchTokens });
    const shape = { slots, positions: this.positions, nKvHeads, headDim };
    const shapes = kvShapes(shape);
    const dtype = KV_DTYPES[type];
    const scale = () => (type === 'int8' ? arena.tensor('f32', shapes.scales) : null);
    this.layers = Array.from({ length: nLayers }, () => {
      const [keys, values] = [arena.tensor(dtype, shapes.keys), arena.tensor(dtype, shapes.values)];
      return { ...shape, type, keys, values, keyScale: scale(), valueScale: scale() };
    });
    const scaleBytes = type === 'int8' ? BYTES_PER_ELEMENT.f32 : 0;
    this.bytesPerPosition = 2 * nLayers * nKvHeads * (headDim * BYTES_PER_ELEMENT[dtype] + scaleBytes);
  }
}
