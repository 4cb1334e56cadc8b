/**
 * `bench decode`: milliseconds per generated token, dense and at each sparsity, over the same weights in the same run.
 *
 * Dense is every weight read once as a stream, the best there is for one token. Random weights get the
 * sparsity forced on all four points; a trained model keeps its natural zeros before `down`, as in use. Selection is
 * part of the time.
 */

import type { Backend } from '../../backend.ts';
import { timeBackend } from '../../backends/time-kernels.ts';
import { Engine } from '../../infer/engine.ts';
import { SingleSequence } from '../../infer/single-sequence.ts';
import type { ModelConfig } from '../../model/config.ts';
import { weightsOfParameters } from '../../model/weights.ts';
import { UsageError } from '../../util/errors.ts';
import { formatBytes, formatPercent } from '../../util/format.ts';
import { median } from '../../util/median.ts';
import { Prng } from '../../util/prng.ts';
import type { Column } from '../shared/table.ts';
import type { BenchModel } from './bench-model.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from './rounds.ts';

export interface DecodeRow extends Record<string, unknown> {
  shape: string;
  dtype: 'f32';
  /** Asked for; null: as the model was trained. */
  sparsity: number | null;
  /** Measured: zeros weighted by the parameters of the blocks that they skip. */
  zeros: number;
  batch: 1;
  msPerToken: number;
  tokensPerSecond: number;
  /** Weights, head and cache that a token reads. */
  bytesPerToken: number;
  gbPerSecond: number;
  speedupOverDense: number;
  /** Share of the time in selecting and listing. */
  selectShare: number;
  /** Weights, cache and workspace. */
  peakBytes: number;
  spread: number;
}

const percent = (share: number): string => formatPercent(share);

export const DECODE_COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'zeros', format: percent },
  { key: 'msPerToken', title: 'ms/token' },
  { key: 'tokensPerSecond', title: 'tokens/s' },
  { key: 'speedupOverDense', title: 'x dense' },
  { key: 'gbPerSecond', title: 'GB/s' },
  { key: 'selectShare', title: 'select', format: percent },
  { key: 'peakBytes', title: 'memory', format: formatBytes },
  { key: 'spread', format: percent },
];

/** Tokens in the cache before the clock starts: attention over nothing would be too good. */
const CONTEXT_TOKENS = 16;

export interface DecodeOptions extends RoundsOptions {
  /** Tokens of one measurement. */
  tokens: number;
  seed: number;
}

interface Measurement {
  msPerToken: number;
  selectShare: number;
}

/** The rows in the order of `sparsities`, whose first is 0: dense. */
export async function benchDecode(
  backend: Backend,
  model: BenchModel,
  sparsities: readonly (number | null)[],
  options: DecodeOptions,
): Promise<DecodeRow[]> {
  checkTokens(model.config.seqLen, options.tokens);
  const variants = sparsities.map((sparsity) => decoder(backend, model, sparsity, options));
  try {
    const values = await measureRounds(variants, (variant) => variant.measure(), options);
    const ms = values.map((measurements) => measurements.map(({ msPerToken }) => msPerToken));
    return variants.map(({ engine, sparsity }, v) => {
      const msPerToken = median(ms[v]);
      const bytesPerToken = bytesRead(engine, CONTEXT_TOKENS + options.tokens / 2);
      return {
        shape: model.name,
        dtype: 'f32',
        sparsity,
        zeros: engine.statistics.modelSparsity(),
        batch: 1,
        msPerToken,
        tokensPerSecond: 1000 / msPerToken,
        bytesPerToken,
        gbPerSecond: bytesPerToken / msPerToken / 1e6,
        speedupOverDense: speedup(ms[0], ms[v]),
        selectShare: median(values[v].map(({ selectShare }) => selectShare)),
        peakBytes: model.bytes + engine.bytes,
        spread: spread(ms[v]),
      };
    });
  } finally {
    for (const { engine } of variants) engine.dispose();
  }
}

function checkTokens(seqLen: number, tokens: number): void {
  const room = seqLen - CONTEXT_TOKENS;
  if (tokens <= room) return;
  const holds = `the context of ${seqLen} tokens has room for ${room} after the first ${CONTEXT_TOKENS}`;
  const todo = room > 0 ? `Give --tokens ${room} or less` : 'Measure a model with a longer context';
  throw new UsageError('--tokens', `${holds}: expected at most ${Math.max(0, room)}, got ${tokens}. ${todo}.`);
}

function decoder(backend: Backend, model: BenchModel, sparsity: number | null, { tokens, seed }: DecodeOptions) {
  const { backend: timed, timer } = timeBackend(backend);
  const config = withSparsity(model.config, sparsity, !model.trained);
  const engine = new Engine(config, weightsOfParameters(config, model.parameters), timed, {
    maxTokens: CONTEXT_TOKENS + tokens,
    skipNaturalZeros: sparsity !== 0,
  });
  const sequence = new SingleSequence(engine);
  const prng = new Prng(seed);
  const randomIds = (count: number) => Array.from({ length: count }, () => prng.uint32() % config.vocabSize);
  const measure = (): Measurement => {
    sequence.reset();
    sequence.prefill(randomIds(CONTEXT_TOKENS));
    const ids = randomIds(tokens);
    engine.statistics.clear();
    timer.reset();
    const begin = performance.now();
    for (const id of ids) sequence.decode(id);
    const totalMs = performance.now() - begin;
    const selectMs = timer.ms(['selectTopK', 'countNonZeros', 'gatherNonZeros']);
    return { msPerToken: totalMs / tokens, selectShare: selectMs / totalMs };
  };
  return { engine, sparsity, measure };
}

/** null leaves the model as it is. */
function withSparsity(config: ModelConfig, sparsity: number | null, everywhere: boolean): ModelConfig {
  if (sparsity === null) return config;
  const natural = !everywhere && config.activation !== 'silu';
  const points = { qkv: sparsity, o: sparsity, gateUp: sparsity, down: natural ? 0 : sparsity };
  return { ...config, sparsity: points };
}

/** Weights of the rows that were not skipped, the head, and keys and values of `context` positions. */
function bytesRead({ weights, statistics, kvBytesPerPosition }: Engine, context: number): number {
  return statistics.weightBytesPerToken(weights) + context * kvBytesPerPosition;
}
