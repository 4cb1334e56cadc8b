/**
 * `bench decode|batch|prefill`: tokens through the engine, dense and at each sparsity, over the same weights in the same run.
 *
 * Dense skips nothing, not even the zeros behind closed gates, and takes the best product for its number of tokens. One model after the
 * other is made, by weight type; inside of a type all variants are measured once a round, in turns. The cost of the selection is part of
 * the time. Random weights have real masks, drawn by the activations of each token and layer.
 */

import type { Backend } from '../backend.ts';
import { type KernelName, SELECTION_KERNELS } from '../backends/kernel-names.ts';
import { type KernelTimer, timeBackend } from '../backends/time-kernels.ts';
import { Engine } from '../infer/engine.ts';
import type { TokenSequence } from '../infer/token-model.ts';
import { type ModelConfig, POINTS, type Point } from '../model/config.ts';
import type { SparsityOverride } from '../model/sparsity-override.ts';
import type { ModelWeights } from '../model/weights.ts';
import type { KvType } from '../tensor/kv-slots.ts';
import type { WeightType } from '../tensor/weight-matrix.ts';
import { UsageError } from '../util/errors.ts';
import { median } from '../util/median.ts';
import { Prng } from '../util/prng.ts';
import type { BenchWeights } from './bench-weights.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from './rounds.ts';

export type InferenceBench = 'decode' | 'batch' | 'prefill';

export interface InferenceRow extends Record<string, unknown> {
  shape: string;
  dtype: WeightType | 'mixed';
  /** Asked for at all four points; 0: dense, nothing skipped; null: as the model was trained. */
  sparsity: number | null;
  /** Share of closed gates that the weights were made for; null: as they come. */
  closedGates: number | null;
  /** Measured: zeros weighted by the parameters of the blocks that they skip. */
  zeros: number;
  /** Sequences that decode side by side. */
  batch: number;
  /** Of one measurement: decoded by each sequence, or of the prompt. */
  tokens: number;
  /** Wall time over all tokens of all sequences. */
  msPerToken: number;
  tokensPerSecond: number;
  /** Weights, head and cache that one token reads by itself; in batches and prompts they are shared, and these are null. */
  bytesPerToken: number | null;
  bytesDense: number | null;
  /** (1 - zeros) of the blocks' bytes, and all the rest. */
  bytesExpected: number | null;
  gbPerSecond: number | null;
  /** null, as the next, where dense was not measured. */
  speedupOverDense: number | null;
  /** Share of the time that selecting and listing take: what the inputs of products take beyond those of the dense model. */
  selectShare: number | null;
  joulesPerToken: number | null;
  /** Weights, cache and workspace. */
  peakBytes: number;
  spread: number;
}

/** Tokens in the cache before the clock starts: attention over nothing would be too good. */
const CONTEXT_TOKENS = 16;
/** Tokens of a prompt in one pass. */
const PREFILL_CHUNK = 512;

/** What makes the input of a product, in a dense model too. */
const INPUT_KERNELS: readonly KernelName[] = [
  ...SELECTION_KERNELS,
  'rmsNorm',
  'rmsNormRows',
  'quantizeRows',
  'fakeQuantizeRows',
  'rescaleRows',
  'scatterRows',
];

/** A counter that only grows. */
export interface EnergyMeter {
  /** Since the meter was opened. */
  joules(): number;
}

export interface InferenceOptions extends RoundsOptions {
  /** decode, batch: steps of one measurement; prefill: tokens of the prompt. */
  tokens: number;
  seed: number;
  kvType: KvType;
  energy: EnergyMeter | null;
}

interface Variant {
  readonly sparsity: number | null;
  readonly batch: number;
}

interface Measurement {
  readonly msPerToken: number;
  /** Of that, in INPUT_KERNELS. */
  readonly inputMsPerToken: number;
  readonly joulesPerToken: number | null;
}

/**
 * The rows of one model. Where it has weights for its dense twin the first of `sparsities` is 0, and is that; else nothing is compared, and a 0 selects nothing. Throws UsageError where
 * the context is too short.
 */
export async function benchInference(
  bench: InferenceBench,
  backend: Backend,
  model: BenchWeights,
  sparsities: readonly (number | null)[],
  batches: readonly number[],
  options: InferenceOptions,
): Promise<InferenceRow[]> {
  const maxTokens = contextOf(bench, model.config, options.tokens);
  const { backend: timed, timer } = timeBackend(backend);
  const engineOf = (weights: ModelWeights, dense: boolean) =>
    new Engine(denseConfig(model.config, dense), weights, timed, {
      maxTokens,
      maxSequences: Math.max(...batches),
      maxBatchTokens: bench === 'prefill' ? Math.min(PREFILL_CHUNK, maxTokens) : Math.max(CONTEXT_TOKENS, ...batches),
      kvType: options.kvType,
      skipNaturalZeros: !dense,
    });
  const dense = model.dense && engineOf(model.dense, true);
  const sparse = engineOf(model.sparse, false);
  const variants = batches.flatMap((batch) => sparsities.map((sparsity): Variant => ({ sparsity, batch })));
  const zeros = variants.map(() => 0);
  const bytes = variants.map(() => 0);
  const isDense = ({ sparsity }: Variant) => sparsity === 0 && dense !== null;
  const measure = (index: number): Measurement => {
    const engine = isDense(variants[index]) ? dense! : sparse;
    const measured = measureVariant(bench, engine, timer, variants[index], model, options);
    zeros[index] = engine.statistics.modelSparsity();
    bytes[index] = bytesRead(engine, bench === 'prefill' ? 0 : CONTEXT_TOKENS + options.tokens / 2);
    return measured;
  };
  try {
    const values = await measureRounds([...variants.keys()], measure, options);
    const ms = values.map((round) => round.map(({ msPerToken }) => msPerToken));
    return variants.map((variant, v): InferenceRow => {
      const { sparsity, batch } = variant;
      const base = dense && variants.findIndex((other) => other.batch === batch && isDense(other));
      const msPerToken = median(ms[v]);
      const alone = bench === 'decode';
      const joules = values[v].map(({ joulesPerToken }) => joulesPerToken);
      return {
        shape: model.name,
        dtype: model.dtype,
        sparsity,
        closedGates: model.closedGates,
        zeros: isDense(variant) ? 0 : zeros[v],
        batch,
        tokens: options.tokens,
        msPerToken,
        tokensPerSecond: 1000 / msPerToken,
        bytesPerToken: alone ? bytes[v] : null,
        bytesDense: alone && base !== null ? bytes[base] : null,
        bytesExpected:
          alone && base !== null ? bytes[base] - (isDense(variant) ? 0 : zeros[v]) * model.blockBytes : null,
        gbPerSecond: alone ? bytes[v] / msPerToken / 1e6 : null,
        speedupOverDense: base === null ? null : speedup(ms[base], ms[v]),
        selectShare:
          base === null ? null : median(values[v].map((value, round) => selectShare(value, values[base][round]))),
        joulesPerToken: joules.includes(null) ? null : median(joules as number[]),
        peakBytes: isDense(variant) ? model.bytes.dense + dense!.bytes : model.bytes.sparse + sparse.bytes,
        spread: spread(ms[v]),
      };
    });
  } finally {
    dense?.dispose();
    sparse.dispose();
  }
}

function measureVariant(
  bench: InferenceBench,
  engine: Engine,
  timer: KernelTimer,
  { sparsity, batch }: Variant,
  model: BenchWeights,
  { tokens, seed, energy }: InferenceOptions,
): Measurement {
  const prng = new Prng(seed);
  const randomIds = (count: number) => Array.from({ length: count }, () => prng.uint32() % engine.vocabSize);
  const override = overrideOf(sparsity, model);
  const sequences = Array.from({ length: batch }, () =>
    engine.createSequence(override === undefined ? {} : { sparsity: override }),
  );
  try {
    if (bench !== 'prefill') {
      for (const sequence of sequences) runAll(engine, sequence, randomIds(CONTEXT_TOKENS));
    }
    const ids = sequences.map(() => randomIds(tokens));
    engine.statistics.clear();
    timer.reset();
    const before = energy?.joules() ?? null;
    const begin = performance.now();
    if (bench === 'prefill') runAll(engine, sequences[0], ids[0]);
    else {
      for (let step = 0; step < tokens; step++) {
        engine.run(sequences.map((sequence, s) => ({ sequence, ids: [ids[s][step]], logits: 'last' })));
      }
    }
    const totalMs = performance.now() - begin;
    const joulesPerToken = before === null || energy === null ? null : (energy.joules() - before) / (tokens * batch);
    const inputMs = timer.ms(INPUT_KERNELS);
    return { msPerToken: totalMs / (tokens * batch), inputMsPerToken: inputMs / (tokens * batch), joulesPerToken };
  } finally {
    for (const sequence of sequences) sequence.release();
  }
}

/** Norm, selection and rounding may be one pass, so that the selection alone has no time of its own. */
function selectShare(sparse: Measurement, dense: Measurement): number {
  return Math.max(0, sparse.inputMsPerToken - dense.inputMsPerToken) / sparse.msPerToken;
}

/** A prompt in chunks; the logits behind its last token. */
function runAll(engine: Engine, sequence: TokenSequence, ids: readonly number[]): void {
  for (let first = 0; first < ids.length; first += engine.maxBatchTokens) {
    const chunk = ids.slice(first, first + engine.maxBatchTokens);
    engine.run([{ sequence, ids: chunk, logits: first + chunk.length === ids.length ? 'last' : 'none' }]);
  }
}

/** Closed gates are what is skipped before down where they were asked for; else the sparsity stands at all four points. */
function overrideOf(sparsity: number | null, { closedGates, trained }: BenchWeights): SparsityOverride | undefined {
  if (sparsity === null) return undefined;
  if (sparsity !== 0 && (trained || closedGates !== null)) return sparsity;
  return { qkv: sparsity, o: sparsity, gateUp: sparsity, down: sparsity };
}

/** The dense twin selects and re-scales nothing, whatever the model was trained with: re-scaling goes by lists, and behind gates would skip their zeros. */
function denseConfig(config: ModelConfig, dense: boolean): ModelConfig {
  if (!dense) return config;
  const none = Object.fromEntries(POINTS.map((point) => [point, 0])) as Record<Point, number>;
  const rescale = Object.fromEntries(POINTS.map((point) => [point, 'none'])) as ModelConfig['rescale'];
  return { ...config, sparsifier: 'topk', sparsity: none, thresholds: { ...none, gate: 0 }, rescale };
}

/** Weights and cache that a token decoded alone reads. */
function bytesRead({ weights, statistics, kvBytesPerPosition }: Engine, context: number): number {
  return statistics.weightBytesPerToken(weights) + context * kvBytesPerPosition;
}

function contextOf(bench: InferenceBench, { seqLen }: ModelConfig, tokens: number): number {
  const before = bench === 'prefill' ? 0 : CONTEXT_TOKENS;
  if (before + tokens <= seqLen) return before + tokens;
  const room = Math.max(0, seqLen - before);
  throw new UsageError(
    '--tokens',
    `the context of ${seqLen} tokens has room for ${room}${before > 0 ? ` after the first ${before}` : ''}: expected at most ` +
      `${room}, got ${tokens}. ${room > 0 ? `Give --tokens ${room} or less` : 'Measure a model with a longer context'}.`,
  );
}
