/**
 * TrainConfig: everything besides the model and the text that decides how a run goes, its defaults and its validation.
 *
 * It is saved with each checkpoint. On resume the saved values hold for what is not given anew; what decides which tokens
 * a step sees (`FIXED_ON_RESUME`) cannot change inside a run, everything else can.
 */

import type { Precision } from '../backend.ts';
import { nearestName, UsageError } from '../util/errors.ts';
import type { LearningRateConfig, LearningRateSchedule, WeightDecayConfig } from './schedule.ts';

export interface TrainConfig extends LearningRateConfig, WeightDecayConfig {
  /** Sequences of one forward and backward pass. */
  batchSize: number;
  /** Passes whose gradients are added up to one step. */
  accumulate: number;
  /** Seed of the parameters and of the order of the data. */
  seed: number;
  /** Of the products: bf16 needs a processor with an instruction for it. */
  precision: Precision;
  /** Keep only the input of each half of a block for the backward pass and run it forward again: less memory, more time. */
  recompute: boolean;

  beta1: number;
  beta2: number;
  eps: number;
  /** Largest global L2 norm of the gradient; 0 does not clip. */
  clip: number;
  /** Steps over which the sparsity grows linearly from 0 to the model's; 0 trains at full sparsity from the start. */
  sparsityRampSteps: number;

  /** Share of the documents, by bytes, held out for validation. */
  validationShare: number;
  /** Steps between validations; 0 validates at the end only. */
  validateEvery: number;
  /** Most tokens of one validation. */
  validationTokens: number;
  /** Steps between checkpoints; 0 saves at the end only. */
  saveEvery: number;
  /** Checkpoints kept besides the best one. */
  keepLast: number;
  /** Steps between step records. */
  logEvery: number;
  /** Steps between detail records (norms by projection, energy kept, dead channels); 0 for none. */
  detailEvery: number;
  /** Steps between samples of text; 0 for none. */
  sampleEvery: number;

  /** A loss this far above the median of the last 64, in nats, ... */
  spikeNats: number;
  /** ... in this many steps in a row ends the run; 0 never does. */
  spikeSteps: number;
}

/** A configuration with anything left out; `tokens` may stand for `steps`. */
export type TrainConfigInput = Partial<TrainConfig> & { tokens?: number };

/** Fields that decide which tokens a step sees: a run that changed them would not be one run. */
export const FIXED_ON_RESUME = ['batchSize', 'accumulate', 'seed', 'validationShare'] as const;

const DEFAULTS = {
  steps: 1000,
  batchSize: 8,
  accumulate: 1,
  seed: 0,
  precision: 'f32',
  recompute: false,
  lr: 1e-3,
  schedule: 'cosine' as LearningRateSchedule,
  decayShare: 0.2,
  weightDecay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
  sparsityRampSteps: 0,
  validationShare: 0.02,
  validateEvery: 250,
  validationTokens: 65_536,
  saveEvery: 250,
  keepLast: 2,
  logEvery: 1,
  detailEvery: 50,
  sampleEvery: 250,
  spikeNats: 2,
  spikeSteps: 10,
} as const;

const KNOWN_FIELDS: readonly string[] = [
  ...Object.keys(DEFAULTS),
  ...['minLr', 'warmupSteps', 'stageTwoLr', 'stageTwoWeightDecay', 'tokens'],
];

/**
 * Fills in what is left out and checks the whole. Besides the table of defaults: minLr = lr / 10, warmupSteps = a tenth
 * of the run and at most 200, steps = tokens / (batchSize * accumulate * seqLen), rounded up; with the schedule two-stage minLr = 0,
 * stageTwoLr = lr * 2 / 3 and stageTwoWeightDecay = 0.
 * Throws UsageError that names the field, what it must be and what it is.
 */
export function resolveTrainConfig(input: TrainConfigInput, seqLen: number): TrainConfig {
  rejectUnknownFields(input);
  const { tokens, ...given } = input;
  const merged = { ...DEFAULTS, ...given };
  if (tokens !== undefined) {
    if (input.steps !== undefined) fail('steps and tokens both say how long the run is. Give one of them.');
    if (!(tokens >= 1)) fail(`tokens must be at least 1, got ${tokens}.`);
    merged.steps = Math.ceil(tokens / (merged.batchSize * merged.accumulate * seqLen));
  }
  const isTwoStage = merged.schedule === 'two-stage';
  const config: TrainConfig = {
    ...merged,
    minLr: input.minLr ?? (isTwoStage ? 0 : merged.lr / 10),
    stageTwoLr: input.stageTwoLr ?? (isTwoStage ? (merged.lr * 2) / 3 : null),
    stageTwoWeightDecay: input.stageTwoWeightDecay ?? (isTwoStage ? 0 : null),
    warmupSteps: input.warmupSteps ?? Math.min(200, Math.floor(merged.steps / 10)),
  };
  check(config);
  return config;
}

function rejectUnknownFields(input: TrainConfigInput): void {
  for (const field of Object.keys(input)) {
    if (KNOWN_FIELDS.includes(field)) continue;
    const near = nearestName(field, KNOWN_FIELDS);
    fail(`unknown field "${field}".${near ? ` Did you mean "${near}"?` : ''}`);
  }
}

function check(config: TrainConfig): void {
  for (const field of ['steps', 'batchSize', 'accumulate', 'validationTokens', 'keepLast', 'logEvery'] as const) {
    wholeNumber(config, field, 1);
  }
  for (const field of ['validateEvery', 'saveEvery', 'detailEvery', 'sampleEvery', 'spikeSteps'] as const) {
    wholeNumber(config, field, 0);
  }
  for (const field of ['warmupSteps', 'sparsityRampSteps', 'seed'] as const) wholeNumber(config, field, 0);
  for (const field of ['lr', 'eps', 'spikeNats'] as const) {
    if (!(config[field] > 0)) fail(`${field} must be above 0, got ${config[field]}.`);
  }
  for (const field of ['minLr', 'weightDecay', 'clip'] as const) {
    if (!(config[field] >= 0)) fail(`${field} must be 0 or more, got ${config[field]}.`);
  }
  for (const field of ['beta1', 'beta2'] as const) {
    if (!(config[field] >= 0 && config[field] < 1)) fail(`${field} must be in [0, 1), got ${config[field]}.`);
  }
  if (!(config.validationShare > 0 && config.validationShare < 1)) {
    fail(`validationShare must be in (0, 1), got ${config.validationShare}.`);
  }
  if (!(config.decayShare > 0 && config.decayShare <= 1)) {
    fail(`decayShare must be in (0, 1], got ${config.decayShare}.`);
  }
  if (!['f32', 'bf16'].includes(config.precision)) fail(`precision must be f32 or bf16, got "${config.precision}".`);
  if (typeof config.recompute !== 'boolean') fail(`recompute must be true or false, got ${config.recompute}.`);
  if (!['cosine', 'wsd', 'two-stage'].includes(config.schedule)) {
    fail(`schedule must be cosine, wsd or two-stage, got "${config.schedule}".`);
  }
  checkStages(config);
  if (config.minLr > config.lr) fail(`minLr must not be above lr: got minLr ${config.minLr}, lr ${config.lr}.`);
}

function checkStages({ schedule, minLr, stageTwoLr, stageTwoWeightDecay }: TrainConfig): void {
  if (schedule !== 'two-stage') {
    const field = stageTwoLr === null ? 'stageTwoWeightDecay' : 'stageTwoLr';
    if (stageTwoLr !== null || stageTwoWeightDecay !== null) {
      fail(`${field} belongs to the schedule two-stage, got ${schedule}. Leave it out, or change the schedule.`);
    }
    return;
  }
  if (!(stageTwoLr! > 0)) fail(`stageTwoLr must be above 0, got ${stageTwoLr}.`);
  if (!(stageTwoWeightDecay! >= 0)) fail(`stageTwoWeightDecay must be 0 or more, got ${stageTwoWeightDecay}.`);
  if (minLr > stageTwoLr!) fail(`minLr must not be above stageTwoLr: got minLr ${minLr}, stageTwoLr ${stageTwoLr}.`);
}

function wholeNumber(config: TrainConfig, field: keyof TrainConfig, least: number): void {
  const value = config[field] as number;
  if (!Number.isInteger(value) || value < least) {
    fail(`${field} must be a whole number of at least ${least}, got ${value}.`);
  }
}

function fail(message: string): never {
  throw new UsageError('train', message);
}
