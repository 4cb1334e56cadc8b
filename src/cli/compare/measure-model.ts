/**
 * What `qsparse compare` knows of one model at one sparsity: quality (src/eval), activated parameters (as `qsparse inspect` counts them) and seconds a
 * token (as `qsparse bench decode` measures them: dense and as asked for, in turns).
 */

import type { Backend } from '../../backend.ts';
import { benchInference, type InferenceRow } from '../../bench/bench-inference.ts';
import { blockBytes } from '../../bench/bench-weights.ts';
import { evaluate, type PreparedTask, type RecordStore, type TaskResult } from '../../eval/evaluate.ts';
import { longestOf, prepareText } from '../../eval/prepare.ts';
import { Engine } from '../../infer/engine.ts';
import { unroutedParameters } from '../../model/flops.ts';
import type { LoadedModel } from '../../model/load-model.ts';
import { countParameters } from '../../model/parameters.ts';
import { isByChannel } from '../../model/weights.ts';
import type { KvType } from '../../tensor/kv-slots.ts';
import { tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';
import { evalTokenizer } from '../eval/eval-tokenizer.ts';
import { type DataPlaces, prepareTask } from '../eval/prepare-task.ts';
import { activationTable, tokenParameters } from '../inspect/activation-table.ts';
import { readThrough } from '../shared/read-through.ts';
import type { StatusLine } from '../shared/status-line.ts';
import { encodeTexts } from '../shared/text-files.ts';

export interface MeasureOptions extends DataPlaces {
  /** Those whose perplexity is measured. */
  texts: readonly string[] | undefined;
  maxTokens: number | undefined;
  /** Tokens of a window, at most the context of the model. */
  window: number;
  tasks: readonly string[];
  kv: KvType;
  /** Tokens of one measurement of decoding, and rounds of them. */
  decodeTokens: number;
  repeat: number;
}

export interface Measuring {
  readonly sparsity: number | null;
  readonly records: RecordStore;
  readonly progress: StatusLine;
  readonly signal: AbortSignal;
  /** Texts to count activated parameters on. */
  readonly sample: readonly string[];
}

/** All that was measured; a signal leaves the rest undefined, and results incomplete. */
export interface MeasuredModel {
  readonly quality: readonly TaskResult[];
  /** Of all parameters that a token meets. */
  readonly parameters: number;
  readonly activated?: number;
  readonly zeros?: number;
  readonly decode?: InferenceRow;
  /** The same weights, nothing skipped; absent for weights by channel, which are read through open gates only. */
  readonly dense?: InferenceRow;
}

/** Tokens that the activated parameters are counted on. */
const COUNTED_TOKENS = 1024;
/** Of the sequences of an evaluation together, and most of them. */
const CACHED_TOKENS = 8192;
const MOST_SEQUENCES = 32;

export async function measureModel(
  model: LoadedModel,
  backend: Backend,
  options: MeasureOptions,
  measuring: Measuring,
): Promise<MeasuredModel> {
  const { signal } = measuring;
  const quality = await measureQuality(model, backend, options, measuring);
  const parameters = countParameters(model.config) - unroutedParameters(model.config);
  if (signal.aborted) return { quality, parameters };
  const counted = { parameters, ...(await countActivated(model, backend, measuring)) };
  try {
    return { quality, ...counted, ...(await measureDecoding(model, backend, options, measuring)) };
  } catch (error) {
    // Stopped before the first round was complete.
    if (!signal.aborted) throw error;
    return { quality, ...counted };
  }
}

async function measureQuality(
  model: LoadedModel,
  backend: Backend,
  options: MeasureOptions,
  { sparsity, records, progress, signal }: Measuring,
): Promise<TaskResult[]> {
  const { config, weights } = model;
  const tokenizer = evalTokenizer(model, undefined);
  const prepared: PreparedTask[] = [];
  if (options.texts !== undefined) {
    const { window } = options;
    const protocol = { window, stride: window, minContext: 1, prefixId: null };
    prepared.push(
      prepareText(options.texts, tokenizer, protocol, { name: 'perplexity', mostTokens: options.maxTokens }),
    );
  }
  for (const name of options.tasks) {
    const onPrepare = (done: number, total: number) =>
      progress.update({ label: `reading ${name}`, done, total, unit: 'items' });
    prepared.push(await prepareTask(name, options, tokenizer, config.seqLen, onPrepare));
  }
  const maxTokens = Math.min(config.seqLen, Math.max(...prepared.map(longestOf)));
  const maxSequences = Math.max(1, Math.min(MOST_SEQUENCES, Math.floor(CACHED_TOKENS / maxTokens)));
  const engine = new Engine(config, weights, backend, { maxTokens, maxSequences, kvType: options.kv });
  const results: TaskResult[] = [];
  try {
    for (const task of prepared) {
      if (signal.aborted) break;
      const onProgress = (done: number, total: number) =>
        progress.update({ label: task.name, done, total, unit: 'items' });
      results.push(await evaluate(engine, task, { sparsity, tokenizer, records, signal, onProgress }));
    }
    return results;
  } finally {
    progress.done();
    engine.dispose();
  }
}

async function countActivated(
  model: LoadedModel,
  backend: Backend,
  { sparsity, sample, progress, signal }: Measuring,
): Promise<{ activated: number; zeros: number }> {
  const { config, weights } = model;
  const ids = encodeTexts(tokenizerOfModel(model), sample, COUNTED_TOKENS);
  const maxTokens = Math.min(config.seqLen, Math.max(1, ids.length));
  const engine = new Engine(config, weights, backend, { maxTokens });
  try {
    await readThrough(ids, engine, { sparsity: sparsity ?? undefined, progress, signal });
    const rows = activationTable(config, engine.statistics.projections());
    return { activated: tokenParameters(config, rows).activated, zeros: engine.statistics.modelSparsity() };
  } finally {
    engine.dispose();
  }
}

/** Dense first, then as asked for, which may be dense too: then both are one. Weights by channel as asked for alone. */
async function measureDecoding(
  model: LoadedModel,
  backend: Backend,
  { decodeTokens, repeat, kv }: MeasureOptions,
  { sparsity, progress, signal }: Measuring,
): Promise<{ decode: InferenceRow; dense?: InferenceRow }> {
  const { config, weights, bytes, path } = model;
  const benched = {
    ...{ name: path, config, dtype: 'mixed' as const, dense: isByChannel(weights) ? null : weights },
    ...{ sparse: weights, trained: true },
    ...{ closedGates: null, bytes: { dense: bytes, sparse: bytes } },
    ...{ blockBytes: blockBytes(config, weights), dispose: () => {} },
  };
  const sparsities = benched.dense === null || sparsity === 0 ? [sparsity] : [0, sparsity];
  const rows = await benchInference('decode', backend, benched, sparsities, [1], {
    ...{ label: 'decoding', repeat, progress, signal, tokens: decodeTokens, seed: 0, kvType: kv, energy: null },
  });
  const decode = rows[rows.length - 1];
  return benched.dense === null ? { decode } : { dense: rows[0], decode };
}
