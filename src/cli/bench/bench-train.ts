/**
 * `bench train`: whole training steps (forward, backward, clipping, AdamW), the dense twin and each variant, in one run.
 *
 * Variants are those of `train-variants.ts`, steps those of `train-stepper.ts`; here they become rows. A shape has fresh weights and
 * random tokens, which close about half of the gates; a trained model has its own weights and text, which close most. A row says
 * which of the two it is.
 */

import type { Backend, Precision } from '../../backend.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from '../../bench/rounds.ts';
import { denseTrainingFlops } from '../../model/flops.ts';
import { formatBytes, formatPercent } from '../../util/format.ts';
import { median } from '../../util/median.ts';
import type { Column } from '../shared/table.ts';
import {
  createStepper,
  type StepMeasurement,
  type TrainBenchModel,
  type TrainStepper,
  type ZeroShares,
} from './train-stepper.ts';
import { isDenseTwin, type SkipName, skipsText, type TrainVariant } from './train-variants.ts';

export interface TrainRow extends Record<string, unknown> {
  shape: string;
  checkpoint: 'trained' | 'fresh';
  /** Training step of the checkpoint; null for fresh weights. */
  step: number | null;
  precision: Precision;
  /** Asked for; behind a ReLU gate the natural zeros stand for it at `down`. */
  sparsity: number;
  /** Which zeros are skipped: `all`, `none`, `all but NAME`. */
  skips: string;
  /** The one skip that is off. */
  without: SkipName | null;
  /** Measured: zeros of the inputs, skipped or not, weighted by the parameters of the blocks that they meet. */
  zeros: number;
  /** Measured: zeros at down, mean over the layers. */
  downZeros: number;
  batch: number;
  seqLen: number;
  msPerStep: number;
  tokensPerSecond: number;
  /** Operations really done a second, in 1e9. */
  gflops: number;
  gflopsDenseEquivalent: number;
  speedupOverDense: number;
  /** How many times longer a step takes than one with all skips on at the same sparsity; null where that is not measured. */
  gain: number | null;
  selectShare: number;
  /** Parameters, gradients, moments and activations. */
  peakBytes: number;
  spread: number;
}

const percent = (share: number): string => formatPercent(share);

const GAIN: Column = { key: 'gain', title: 'x all skips' };

/** With or without what the missing skips would gain. */
export function trainColumns({ gain }: { gain: boolean }): Column[] {
  return COLUMNS.filter((column) => gain || column !== GAIN);
}

const COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'checkpoint' },
  { key: 'precision' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'skips' },
  { key: 'zeros', format: percent },
  { key: 'downZeros', title: 'at down', format: percent },
  { key: 'msPerStep', title: 'ms/step' },
  { key: 'tokensPerSecond', title: 'tokens/s' },
  { key: 'gflopsDenseEquivalent', title: 'GFLOP/s dense-eq.' },
  { key: 'speedupOverDense', title: 'x dense' },
  GAIN,
  { key: 'selectShare', title: 'select', format: percent },
  { key: 'peakBytes', title: 'memory', format: formatBytes },
  { key: 'spread', format: percent },
];

export interface TrainBenchOptions extends RoundsOptions {
  batchSize: number;
  seed: number;
}

interface Measured {
  variant: TrainVariant;
  zeros: ZeroShares;
  steps: readonly StepMeasurement[];
}

/** The rows in the order of `variants`, among which each precision has its dense twin. Disposes of `benched`: its weights are copied. */
export async function benchTrain(
  backend: Backend,
  benched: TrainBenchModel,
  variants: readonly TrainVariant[],
  options: TrainBenchOptions,
): Promise<TrainRow[]> {
  const sparsest = Math.max(...variants.map(({ sparsity }) => sparsity));
  const steppers = new Map<Precision, TrainStepper>();
  try {
    for (const { precision } of variants) {
      if (steppers.has(precision)) continue;
      steppers.set(precision, createStepper(backend, benched, { ...options, precision, sparsest }));
    }
    benched.dispose?.();
    const stepperOf = ({ precision }: TrainVariant) => steppers.get(precision)!;
    const zeros = variants.map((variant) => stepperOf(variant).zerosAt(variant.sparsity));
    const steps = await measureRounds(variants, (variant) => stepperOf(variant).step(variant), options);
    const measured = variants.map((variant, v) => ({ variant, zeros: zeros[v], steps: steps[v] }));
    return measured.map((one) => rowOf(benched, one, measured, options.batchSize));
  } finally {
    for (const stepper of steppers.values()) stepper.dispose();
  }
}

function rowOf(
  { name: shape, config, step }: TrainBenchModel,
  { variant, zeros, steps }: Measured,
  all: readonly Measured[],
  batchSize: number,
): TrainRow {
  const { precision, sparsity, without } = variant;
  const batch = { batch: batchSize, seqLen: config.seqLen };
  const samePrecision = all.filter((other) => other.variant.precision === precision);
  const dense = samePrecision.find((other) => isDenseTwin(other.variant))!;
  const allSkips = samePrecision.find(
    (other) => other.variant.sparsity === sparsity && skipsText(other.variant) === 'all',
  );
  const ms = timesOf(steps);
  const msPerStep = median(ms);
  return {
    shape,
    checkpoint: step === null ? 'fresh' : 'trained',
    step,
    precision,
    sparsity,
    skips: skipsText(variant),
    without,
    ...zeros,
    ...batch,
    msPerStep,
    tokensPerSecond: (1000 * batch.batch * batch.seqLen) / msPerStep,
    gflops: median(steps.map(({ flops }) => flops)) / msPerStep / 1e6,
    gflopsDenseEquivalent: denseTrainingFlops(config, batch) / msPerStep / 1e6,
    speedupOverDense: speedup(timesOf(dense.steps), ms),
    gain: allSkips ? speedup(ms, timesOf(allSkips.steps)) : null,
    selectShare: median(steps.map((value) => value.selectMs / value.ms)),
    peakBytes: Math.max(...steps.map(({ peakBytes }) => peakBytes)),
    spread: spread(ms),
  };
}

function timesOf(steps: readonly StepMeasurement[]): number[] {
  return steps.map(({ ms }) => ms);
}
