/**
 * measureStepCost: how long a run of n tokens takes on this model, for speculation.ts to decide by.
 *
 * What counts is the ratio of a run of several tokens to a run of one, with all of their logits, at the sparsity that the model has, as
 * it is where a draft interrupts plain decoding. A run of several uses other memory than one token does, so that the token behind it may
 * find colder caches: that time is a cost of the draft too. So each size is run once between single tokens, which are measured before and behind
 * it. The sizes take turns, so that a machine that slows down slows all of them, and medians are taken. Between two sizes the cost is a line.
 */

import { UsageError } from '../util/errors.ts';
import { median } from '../util/median.ts';
import { Prng } from '../util/prng.ts';
import type { SequenceOptions, TokenModel } from './token-model.ts';

export interface MeasureStepCostOptions extends SequenceOptions {
  /** Largest run that is measured. Default 16, or what the model takes. */
  maxTokens?: number;
  /** Runs of each size that count. Default 5. */
  repeats?: number;
  /** The clock, in ms. */
  now?: () => number;
}

/** Tokens in the cache while it is measured: attention to some of them is part of every run. */
const CONTEXT_TOKENS = 32;

/**
 * Time of one run of this many tokens, in ms. Takes a sequence of the model while it measures. Throws UsageError where none is
 * free, and where no draft fits.
 */
export function measureStepCost(model: TokenModel, options: MeasureStepCostOptions = {}): (tokens: number) => number {
  const { maxTokens = 16, repeats = 5, now = () => performance.now(), ...sequenceOptions } = options;
  const context = Math.min(CONTEXT_TOKENS, model.maxBatchTokens, model.maxTokens >> 1);
  const largest = Math.min(maxTokens, model.maxBatchTokens, model.maxTokens - context);
  if (context < 1 || largest < 2) {
    const room = `${model.maxBatchTokens} tokens at once in a context of ${model.maxTokens}`;
    throw new UsageError(
      'speculation',
      `the model takes ${room}: expected room for a context and a draft of 1. Decode without drafts.`,
    );
  }
  const larger: number[] = [];
  for (let size = 2; size < largest; size *= 2) larger.push(size);
  larger.push(largest);

  const prng = new Prng(0);
  const randomIds = (count: number) => Array.from({ length: count }, () => prng.below(model.vocabSize));
  const sequence = model.createSequence(sequenceOptions);
  try {
    model.run([{ sequence, ids: randomIds(context), logits: 'none' }]);
    const timeOf = (size: number) => {
      const ids = randomIds(size);
      const begin = now();
      model.run([{ sequence, ids, logits: 'all' }]);
      const ms = now() - begin;
      sequence.truncate(context);
      return ms;
    };
    const singles: number[] = [];
    const runs: number[][] = larger.map(() => []);
    const behind: number[][] = larger.map(() => []);
    for (let repeat = -1; repeat < repeats; repeat++) {
      for (const [s, size] of larger.entries()) {
        timeOf(1); // as cold as what ran before has left the caches
        const [single, run, after] = [timeOf(1), timeOf(size), timeOf(1)];
        if (repeat < 0) continue; // the first of each size prepares memory
        singles.push(single);
        runs[s].push(run);
        behind[s].push(after);
      }
    }
    const single = median(singles);
    const costs = runs.map((ms, s) => median(ms) + Math.max(0, median(behind[s]) - single));
    return lineThrough([1, ...larger], [single, ...costs]);
  } finally {
    sequence.release();
  }
}

/** Between two sizes a line; above the largest the last line goes on, never falling. */
function lineThrough(sizes: readonly number[], costs: readonly number[]): (tokens: number) => number {
  return (tokens) => {
    let right = 1;
    while (right < sizes.length - 1 && sizes[right] < tokens) right++;
    const slope = (costs[right] - costs[right - 1]) / (sizes[right] - sizes[right - 1]);
    if (tokens > sizes[right]) return costs[right] + Math.max(0, slope) * (tokens - sizes[right]);
    return costs[right - 1] + slope * (tokens - sizes[right - 1]);
  };
}
