/**
 * The table of the quickstart: the sparse model against its dense twin, in seconds and in loss.
 *
 * Training: both run in turns, slice by slice, over the same steps, so that a machine that slows down slows both.
 * Decoding: the same, one token at a time, greedy.
 */

import type { Backend } from '../../backend.ts';
import { Engine } from '../../infer/engine.ts';
import { generateTokens } from '../../infer/generate-tokens.ts';
import { Sampler } from '../../infer/sampler.ts';
import type { Transformer } from '../../model/transformer.ts';
import { weightsOfParameters } from '../../model/weights.ts';
import type { TrainingRun } from '../../train/training-run.ts';
import { median } from '../../util/median.ts';

/** Steps that one of the two trains before it is the other's turn; at least four turns each. */
const SLICE_STEPS = 25;
const LEAST_SLICES = 4;
const DECODING_ROUNDS = 5;
const DECODED_TOKENS = 100;

/** Medians over slices or rounds, and the spread of the ratio. */
export interface Pair {
  dense: number;
  sparse: number;
  /** Ratio of the medians, sparse over dense. */
  ratio: number;
  /** Smallest and largest ratio of one slice or round. */
  ratioRange: [number, number];
}

/** Trains both to `steps` in turns; tokens per second. Ends early, without a result, when the signal is given. */
export async function trainInTurns(
  dense: TrainingRun,
  sparse: TrainingRun,
  steps: number,
  signal: AbortSignal,
): Promise<Pair | null> {
  const rates: { dense: number[]; sparse: number[] } = { dense: [], sparse: [] };
  const slices = Math.max(LEAST_SLICES, Math.round(steps / SLICE_STEPS));
  for (let slice = 1; slice <= slices; slice++) {
    const untilStep = Math.round((steps * slice) / slices);
    for (const [name, run] of [
      ['dense', dense],
      ['sparse', sparse],
    ] as const) {
      const before = run.trainer.progress;
      await run.run({ untilStep, signal });
      if (signal.aborted) return null;
      const { tokens, seconds } = run.trainer.progress;
      // A very short run has fewer steps than slices.
      if (tokens > before.tokens) rates[name].push((tokens - before.tokens) / (seconds - before.seconds));
    }
  }
  return pairOf(rates.dense, rates.sparse);
}

/** Greedy decoding with both models in turns; tokens per second after the prompt. */
export async function decodeInTurns(
  dense: Transformer,
  sparse: Transformer,
  backend: Backend,
  prompt: readonly number[],
): Promise<Pair> {
  const engines = { dense: engineOf(dense, backend), sparse: engineOf(sparse, backend) };
  const rates: { dense: number[]; sparse: number[] } = { dense: [], sparse: [] };
  try {
    for (let round = 0; round <= DECODING_ROUNDS; round++) {
      for (const name of ['dense', 'sparse'] as const) {
        const rate = await decodingRate(engines[name], prompt);
        if (round > 0) rates[name].push(rate); // the first one warms the caches and the compiler up
      }
    }
  } finally {
    engines.dense.dispose();
    engines.sparse.dispose();
  }
  return pairOf(rates.dense, rates.sparse);
}

/** The engine reads the weights of the model where they are. */
export function engineOf(model: Transformer, backend: Backend): Engine {
  return new Engine(model.config, weightsOfParameters(model.config, model.multipliedParameters()), backend);
}

async function decodingRate(engine: Engine, prompt: readonly number[]): Promise<number> {
  const maxTokens = Math.min(DECODED_TOKENS, engine.maxTokens - prompt.length);
  let count = 0;
  let since = 0;
  for await (const _ of generateTokens(engine, prompt, {
    sampler: new Sampler({ temperature: 0, seed: 0 }),
    maxTokens,
  })) {
    if (count === 0) since = performance.now();
    count++;
  }
  return (1000 * (count - 1)) / (performance.now() - since);
}

function pairOf(dense: readonly number[], sparse: readonly number[]): Pair {
  const ratios = sparse.map((rate, i) => rate / dense[i]);
  const [denseMedian, sparseMedian] = [median(dense), median(sparse)];
  return {
    dense: denseMedian,
    sparse: sparseMedian,
    ratio: sparseMedian / denseMedian,
    ratioRange: [Math.min(...ratios), Math.max(...ratios)],
  };
}
