/**
 * What the quickstart trains: a small model with 60 % of every dense projection input set to zero, and its dense twin with the same
 * shape, data, seed and schedule. How many steps is decided by a calibration on this machine.
 */

import type { Backend } from '../../backend.ts';
import type { ModelConfig } from '../../model/config.ts';
import { preset } from '../../model/presets.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import { resolveTrainConfig } from '../../train/train-config.ts';
import { Trainer, type TrainingData } from '../../train/trainer.ts';

export const SPARSITY = 0.6;
/** Closes gates of the feed-forward beyond those that ReLU^2 closes by itself; the default of `qsparse train` as well. */
const HIDDEN_L1 = 3e-4;
/** Sequences of a step: few, because in minutes the number of updates matters more than their precision. */
const BATCH_SIZE = 4;
const LEARNING_RATE = 2e-3;
const VALIDATION_TOKENS = 16_384;
/** In a short run validation would otherwise take longer than the training. */
const VALIDATION_TOKENS_PER_STEP = 64;
/** Over the run; the comparison with the dense twin falls on one of them. */
const VALIDATIONS = 10;
/** The fewest steps that leave something to look at, on however slow a backend. */
const LEAST_STEPS = 20;
const CALIBRATION_STEPS = 6;
/** Where a step takes this long, one says enough. */
const SLOW_STEP_SECONDS = 3;

export interface QuickstartLength {
  /** Steps of the sparse model, a multiple of ten. */
  steps: number;
  /** Share of them that the dense twin is trained for. */
  denseShare: number;
}

export interface QuickstartSettings {
  sparse: RunSettings;
  dense: RunSettings;
  /** Steps of the dense twin: both are compared there. */
  comparedSteps: number;
}

/** The two runs of that length. */
export function quickstartSettings(
  backend: Backend,
  paths: string[],
  { steps, denseShare }: QuickstartLength,
  seed: number,
): QuickstartSettings {
  const validateEvery = steps / VALIDATIONS;
  const comparedSteps = validateEvery * Math.max(1, Math.round(denseShare * VALIDATIONS));
  // The reference backend is the oracle of the tests, a thousand times slower: it gets a model that it can train at all.
  const shape = preset(backend.name === 'reference' ? 'tiny' : 'quickstart');
  const sparse = resolveConfig({ ...shape, sparsity: SPARSITY, hiddenL1: HIDDEN_L1 });
  const dense = resolveConfig({ ...shape, sparsity: 0 });
  const train = resolveTrainConfig(
    {
      steps,
      seed,
      batchSize: BATCH_SIZE,
      lr: LEARNING_RATE,
      warmupSteps: Math.ceil(steps / 20),
      validateEvery,
      validationTokens: Math.min(VALIDATION_TOKENS, VALIDATION_TOKENS_PER_STEP * steps),
      saveEvery: 0,
      detailEvery: 10,
      sampleEvery: 2 * validateEvery,
    },
    sparse.seqLen,
  );
  const text = { paths, field: 'text' };
  const run = (model: ModelConfig): RunSettings => ({ model, train, text });
  return { sparse: run(sparse), dense: run(dense), comparedSteps };
}

/** Steps for about so many seconds of training, dense twin included, from a few steps of both on this machine. */
export async function calibratedSteps(
  { sparse, dense }: QuickstartSettings,
  backend: Backend,
  data: TrainingData,
  { seconds, denseShare }: { seconds: number; denseShare: number },
): Promise<number> {
  const [perSparseStep, perDenseStep] = [
    await secondsPerStep(sparse, backend, data),
    await secondsPerStep(dense, backend, data),
  ];
  const steps = seconds / (perSparseStep + denseShare * perDenseStep);
  return Math.max(LEAST_STEPS, VALIDATIONS * Math.round(steps / VALIDATIONS));
}

/** The fastest of a few steps: the first ones also pay for memory that later ones find, and for the compiler. */
async function secondsPerStep({ model, train }: RunSettings, backend: Backend, data: TrainingData): Promise<number> {
  const trainer = new Trainer({ model, train: { ...train, steps: 100, detailEvery: 0 }, backend, data });
  let fastest = Number.POSITIVE_INFINITY;
  try {
    for (let step = 1; step <= CALIBRATION_STEPS; step++) {
      const before = trainer.progress.seconds;
      await trainer.run({ untilStep: step });
      const seconds = trainer.progress.seconds - before;
      fastest = Math.min(fastest, seconds);
      if (seconds > SLOW_STEP_SECONDS) break;
    }
    return fastest;
  } finally {
    trainer.dispose();
  }
}
