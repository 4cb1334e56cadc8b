/**
 * `bench select`: what a selection costs, over whole rows or in blocks, in nanoseconds per token, by width and by how many stay.
 *
 * One token alone (decoding) and many (training, prefill: all threads busy) are different numbers and both are given.
 */

import { Arena } from '../../arena.ts';
import type { Backend } from '../../backend.ts';
import { measureRounds, type RoundsOptions, spread } from '../../bench/rounds.ts';
import { featuresAt, type ModelConfig, POINTS } from '../../model/config.ts';
import { median } from '../../util/median.ts';
import { Prng } from '../../util/prng.ts';
import type { Column } from '../shared/table.ts';
import { BenchSelection, type BenchSparsifier, keptBy } from './bench-sparsifiers.ts';

export interface SelectRow extends Record<string, unknown> {
  sparsifier: BenchSparsifier;
  dim: number;
  kept: number;
  /** Tokens per call. */
  batch: number;
  dtype: 'f32';
  nsPerToken: number;
  spread: number;
}

export const SELECT_COLUMNS: readonly Column[] = [
  { key: 'sparsifier' },
  { key: 'dim' },
  { key: 'kept' },
  { key: 'batch' },
  { key: 'dtype' },
  { key: 'nsPerToken', title: 'ns/token' },
  { key: 'spread', format: (share: number) => `${(100 * share).toFixed(0)} %` },
];

const DEFAULT_DIMS = [256, 512, 1024, 2048, 4096, 11008];
const BATCHES = [1, 256];
/** Long enough that the clock's grain and one interruption do not matter. */
const MEASURE_MS = 15;

interface Variant {
  sparsifier: BenchSparsifier;
  dim: number;
  kept: number;
  batch: number;
  /** Calls of one measurement, found in the round that warms up. */
  calls: number;
}

/** The widths at the points of a model, or a range of usual ones. */
export function selectDims(config: ModelConfig | undefined): number[] {
  if (!config) return DEFAULT_DIMS;
  return [...new Set(POINTS.map((point) => featuresAt(config, point)))].sort((a, b) => a - b);
}

export async function benchSelect(
  backend: Backend,
  dims: readonly number[],
  sparsities: readonly number[],
  sparsifiers: readonly BenchSparsifier[],
  seed: number,
  rounds: RoundsOptions,
): Promise<SelectRow[]> {
  const arena = new Arena(backend);
  const variants = dims.flatMap((dim) =>
    sparsities.flatMap((sparsity) =>
      sparsifiers.flatMap((sparsifier) =>
        BATCHES.map(
          (batch): Variant => ({ sparsifier, dim, kept: keptBy(sparsifier, sparsity, dim), batch, calls: 1 }),
        ),
      ),
    ),
  );
  const measure = measurer(backend, arena, dims, seed);
  try {
    const values = await measureRounds(variants, measure, rounds);
    return variants.map(({ sparsifier, dim, kept, batch }, v) => ({
      sparsifier,
      dim,
      kept,
      batch,
      dtype: 'f32',
      nsPerToken: median(values[v]),
      spread: spread(values[v]),
    }));
  } finally {
    arena.free();
  }
}

/** Nanoseconds per token of one variant, over inputs that are normally distributed, as behind a norm. */
function measurer(backend: Backend, arena: Arena, dims: readonly number[], seed: number): (variant: Variant) => number {
  const batch = Math.max(...BATCHES);
  const widest = Math.max(...dims);
  const prng = new Prng(seed);
  const x = arena.tensor('f32', [batch * widest]);
  for (let i = 0; i < x.data.length; i++) x.data[i] = prng.normal();
  const selection = new BenchSelection(arena, batch, widest);
  return (variant) => {
    const { sparsifier, dim, kept, batch } = variant;
    const { run } = selection.of(backend.kernels, { ...x, shape: [batch, dim] }, sparsifier, kept);
    for (;;) {
      const begin = performance.now();
      for (let call = 0; call < variant.calls; call++) run();
      const ms = performance.now() - begin;
      if (ms >= MEASURE_MS) return (ms * 1e6) / (variant.calls * batch);
      variant.calls = Math.ceil(variant.calls * Math.min(100, (1.3 * MEASURE_MS) / Math.max(ms, 1e-3)));
    }
  };
}
