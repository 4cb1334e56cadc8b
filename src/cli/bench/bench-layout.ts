/**
 * `bench layout`: the feed-forward `fused` against `channels`, token by token, over the share of gates that are open: what `qsparse convert
 * --layout auto` decides by.
 *
 * The same random weights in both layouts, with gates closed to the share asked for. Everything else of a token is the same for both, so
 * that where they take equally long does not depend on it: a few layers serve, more than any cache holds.
 */

import { Arena } from '../../arena.ts';
import type { Backend } from '../../backend.ts';
import { gateCloser } from '../../bench/gate-closer.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from '../../bench/rounds.ts';
import { Engine } from '../../infer/engine.ts';
import { packWeights } from '../../model/pack-weights.ts';
import { FEED_FORWARD_LAYOUTS, type FeedForwardLayout } from '../../model/packed-matrices.ts';
import { preset } from '../../model/presets.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import type { WeightType } from '../../tensor/weight-matrix.ts';
import { formatPercent } from '../../util/format.ts';
import { median } from '../../util/median.ts';
import { Prng } from '../../util/prng.ts';
import type { Column } from '../shared/table.ts';

export interface LayoutRow extends Record<string, unknown> {
  shape: string;
  dtype: WeightType;
  sparsity: number;
  /** Asked for. */
  openGates: number;
  layout: FeedForwardLayout;
  /** Measured, over all layers and tokens. */
  open: number;
  /** Of a token in LAYERS layers, the head included. */
  msPerToken: number;
  speedupOverFused: number;
  spread: number;
}

export const LAYOUT_COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'dtype' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'open', title: 'open gates', format: (share: number) => formatPercent(share, 1) },
  { key: 'layout' },
  { key: 'msPerToken', title: 'ms/token' },
  { key: 'speedupOverFused', title: 'x fused' },
  { key: 'spread', format: (share: number) => formatPercent(share) },
];

const LAYERS = 4;
/** The head is the same for both, and the smaller the better. */
const VOCABULARY = 4096;
const CONTEXT_TOKENS = 4;
const TOKENS = 24;

export interface LayoutOptions extends RoundsOptions {
  seed: number;
}

interface Variant {
  readonly sparsity: number;
  readonly layout: FeedForwardLayout;
  readonly engine: Engine;
}

/** The rows of one weight type. */
export async function benchLayout(
  backend: Backend,
  shape: string,
  dtype: WeightType,
  sparsities: readonly number[],
  openShares: readonly number[],
  options: LayoutOptions,
): Promise<LayoutRow[]> {
  const config = resolveConfig({ ...preset(shape), nLayers: LAYERS, vocabSize: VOCABULARY });
  const arena = new Arena(backend);
  const engines: Engine[] = [];
  try {
    const models = FEED_FORWARD_LAYOUTS.map((layout) =>
      packWeights(config, { seed: options.seed }, { dtype, layout }, arena),
    );
    for (const weights of models) {
      engines.push(new Engine(config, weights, backend, { maxTokens: CONTEXT_TOKENS + TOKENS }));
    }
    const closeGates = gateCloser(config, models, backend);
    const rows: LayoutRow[] = [];
    for (const openGates of openShares) {
      if (options.signal.aborted) break;
      closeGates(1 - openGates);
      rows.push(...(await measureShare(engines, { shape, dtype, openGates }, sparsities, options)));
    }
    return rows;
  } finally {
    for (const engine of engines) engine.dispose();
    arena.free();
  }
}

async function measureShare(
  engines: readonly Engine[],
  asked: Pick<LayoutRow, 'shape' | 'dtype' | 'openGates'>,
  sparsities: readonly number[],
  options: LayoutOptions,
): Promise<LayoutRow[]> {
  const variants = sparsities.flatMap((sparsity) =>
    FEED_FORWARD_LAYOUTS.map((layout, l): Variant => ({ sparsity, layout, engine: engines[l] })),
  );
  const open = new Map<Variant, number>();
  const values = await measureRounds(
    variants,
    (variant) => {
      const ms = msPerToken(variant, options.seed);
      open.set(variant, openShare(variant.engine));
      return ms;
    },
    { ...options, label: `${options.label} ${asked.dtype}, ${formatPercent(asked.openGates)} open` },
  );
  return variants.map((variant, v) => {
    const fused = variants.findIndex((other) => other.sparsity === variant.sparsity && other.layout === 'fused');
    return {
      ...asked,
      sparsity: variant.sparsity,
      layout: variant.layout,
      open: open.get(variant)!,
      msPerToken: median(values[v]),
      speedupOverFused: speedup(values[fused], values[v]),
      spread: spread(values[v]),
    };
  });
}

/** `down` keeps what its gates leave: the top-K there would change what is read of down, for both alike. */
function msPerToken({ engine, sparsity }: Variant, seed: number): number {
  const prng = new Prng(seed);
  const ids = Array.from({ length: CONTEXT_TOKENS + TOKENS }, () => prng.uint32() % engine.vocabSize);
  const sequence = engine.createSequence({ sparsity: { qkv: sparsity, o: sparsity, gateUp: sparsity, down: 0 } });
  try {
    engine.run([{ sequence, ids: ids.slice(0, CONTEXT_TOKENS), logits: 'none' }]);
    engine.statistics.clear();
    const begin = performance.now();
    for (const id of ids.slice(CONTEXT_TOKENS)) engine.run([{ sequence, ids: [id], logits: 'last' }]);
    return (performance.now() - begin) / TOKENS;
  } finally {
    sequence.release();
  }
}

function openShare({ statistics }: Engine): number {
  const { down } = statistics.sparsity();
  return 1 - down.reduce((sum, zeros) => sum + zeros, 0) / down.length;
}
