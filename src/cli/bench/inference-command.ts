/** The options of `bench decode|batch|prefill`, and the models that they name, measured one after the other. */

import type { Command } from 'commander';
import type { Backend } from '../../backend.ts';
import { benchInference, type InferenceBench, type InferenceRow } from '../../bench/bench-inference.ts';
import { type BenchWeights, randomBenchWeights } from '../../bench/bench-weights.ts';
import { type RoundsOptions, rowsOfEach } from '../../bench/rounds.ts';
import type { KvType } from '../../tensor/kv-slots.ts';
import { WEIGHT_TYPES, type WeightType } from '../../tensor/weight-matrix.ts';
import { UsageError } from '../../util/errors.ts';
import { parseChoice, parseList, parsePositiveInteger, parseShare } from '../shared/common-options.ts';
import { kvOption } from '../shared/kv-option.ts';
import { checkChoice, denseFirst, type ModelChoice } from './bench-choice.ts';
import { openEnergyMeter } from './energy-meter.ts';
import { openBenchWeights } from './open-bench-weights.ts';

export interface InferenceCommandOptions {
  shape?: string;
  dtype?: WeightType[];
  sparsity?: number[];
  batch?: number[];
  tokens: number;
  closedGates?: number;
  denseTwin?: string;
  kv: KvType;
  energy?: boolean;
  seed?: number;
}

const DEFAULT_SHAPE = 'd512-l8';
const DEFAULT_BATCHES = [1, 2, 4, 8, 16, 32];

/** Adds what the three have in common; `tokens` is their default. */
export function addInferenceOptions(command: Command, tokensMeaning: string, tokens: number): Command {
  return command
    .option(
      '--dtype <list>',
      `weight types of --shape: ${WEIGHT_TYPES.join(', ')} (default: f32)`,
      parseList('--dtype', parseChoice('--dtype', WEIGHT_TYPES)),
    )
    .option('--tokens <n>', tokensMeaning, parsePositiveInteger('--tokens'), tokens)
    .option(
      '--closed-gates <share>',
      'random weights with this share of the gates closed (default type: int8)',
      parseShare('--closed-gates'),
    )
    .option('--dense-twin <dir>', 'of a MODEL packed by channel: the same with --layout fused, to measure dense on')
    .addOption(kvOption())
    .option('--energy', 'joules per token, where the machine shows a counter');
}

export const parseBatches = parseList('--batch', parsePositiveInteger('--batch'));

/** The rows of all models. */
export async function runInferenceBench(
  bench: InferenceBench,
  model: string | undefined,
  options: InferenceCommandOptions,
  backend: Backend,
  rounds: RoundsOptions,
): Promise<InferenceRow[]> {
  checkChoice({ model, shape: options.shape });
  const batches = bench === 'batch' ? (options.batch ?? DEFAULT_BATCHES) : [1];
  const { tokens, seed = 0, kv: kvType } = options;
  const energy = options.energy ? openEnergyMeter() : null;
  return await rowsOfEach(
    modelsOf({ model, shape: options.shape }, options, backend, seed),
    rounds.signal,
    async (open) => {
      const weights = open();
      try {
        const usual = weights.trained ? [0, null] : [0, 0.4, 0.6];
        const sparsities = options.sparsity ? denseFirst(options.sparsity) : usual;
        const label = weights.trained ? rounds.label : `${rounds.label} ${weights.dtype}`;
        const measured = { ...rounds, label, tokens, seed, kvType, energy };
        return await benchInference(bench, backend, weights, sparsities, batches, measured);
      } finally {
        weights.dispose();
      }
    },
  );
}

/** Each is opened when the one before it is gone: a model may fill the memory. */
function modelsOf(
  { model, shape = DEFAULT_SHAPE }: ModelChoice,
  { dtype, closedGates, denseTwin }: InferenceCommandOptions,
  backend: Backend,
  seed: number,
): (() => BenchWeights)[] {
  if (model === undefined) {
    if (denseTwin !== undefined) {
      throw new UsageError('--dense-twin', 'is for a MODEL that is packed by channel. Leave it out, or name one.');
    }
    const dtypes = dtype ?? [closedGates === undefined ? ('f32' as const) : ('int8' as const)];
    return dtypes.map((type) => () => randomBenchWeights(shape, type, closedGates ?? null, backend, seed));
  }
  if (dtype !== undefined || closedGates !== undefined) {
    throw new UsageError(
      'bench',
      `${model} has its weight types: expected --shape with --dtype or --closed-gates. Leave them out, or convert the model.`,
    );
  }
  return [() => openBenchWeights(model, denseTwin, backend)];
}
