/**
 * TrainConfig: everything besides the model and the text that decides how a run goes, its defaults and its validation.
 *
 * It is saved with each checkpoint. On resume the saved values hold for what is not given anew; what decides which tokens
 * a step sees (`FIXED_ON_RESUME`) cannot change inside a run, everything else can.
 */

import type { Precision } from '../backend.ts';
import type { Lora } from '../model/adapted-weights.ts';
import { POINTS, type Point } from '../model/config.ts';
import { Problems } from '../util/problems.ts';
import type { OptimizerState } from './adamw.ts';
import type { LearningRateConfig, LearningRateSchedule, WeightDecayConfig } from './schedule.ts';

export interface TrainConfig extends LearningRateConfig, WeightDecayConfig {
  /** Sequences of one forward and backward pass. */
  batchSize: number;
  /** Tokens of a sequence in training, at most the context of the model. */
  seqLen: number;
  /** Passes whose gradients are added up to one step. */
  accumulate: number;
  /** Training tokens that are passed over, in whole steps, rounded up: those of an earlier run on the same data with the same seed, so that a second stage sees others. */
  skipTokens: number;
  /** Seed of the parameters and of the order of the data. */
  seed: number;
  /** Of the products: bf16 needs a processor with an instruction for it. */
  precision: Precision;
  /** Of the adapters that are trained in the place of the weights (LoRA); 0: all weights are trained. */
  loraRank: number;
  /** The adapters are multiplied with alpha / rank. */
  loraAlpha: number;
  /** The points whose projections have adapters, with commas between them. */
  loraPoints: string;
  /** Keep only the input of each half of a block for the backward pass and run it forward again: less memory, more time. */
  recompute: boolean;

  /** Gradients of logits below this, in probability, are left to chance (`ops/head-gradients.ts`); 0: none are. */
  logitPruning: number;
  /** How AdamW keeps its moments: int8 takes 2 bytes a parameter instead of 8. */
  optimizerState: OptimizerState;
  beta1: number;
  beta2: number;
  eps: number;
  /** Largest global L2 norm of the gradient; 0 does not clip. */
  clip: number;
  /** Steps over which the sparsity grows linearly from 0 to the model's; 0 trains at full sparsity from the start. */
  sparsityRampSteps: number;
  /** Steps over which the coefficient of the L1 term grows from 0 to the model's; 0: at once. */
  hiddenL1RampSteps: number;

  /** Share of the loss that is the divergence from the model that the run began with, dense; 0: none. */
  distill: number;
  /** Of the softmaxes that are compared. */
  distillTemperature: number;

  /** Share of the sequences that come from other data (replayed-data.ts); 0: none. */
  replayShare: number;

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

const LORA_FIELDS = ['loraRank', 'loraAlpha', 'loraPoints'] as const;

/** Fields that decide which tokens a step sees, what is trained, and what a checkpoint holds: a run that changed them would not be one run. */
export const FIXED_ON_RESUME = [
  'batchSize',
  'seqLen',
  'accumulate',
  'skipTokens',
  'seed',
  'validationShare',
  'optimizerState',
  'replayShare',
  ...LORA_FIELDS,
] as const;

const DEFAULTS = {
  steps: 1000,
  batchSize: 8,
  accumulate: 1,
  skipTokens: 0,
  seed: 0,
  precision: 'f32',
  recompute: false,
  logitPruning: 0,
  loraRank: 0,
  loraPoints: POINTS.join(','),
  lr: 1e-3,
  schedule: 'cosine' as LearningRateSchedule,
  decayShare: 0.2,
  weightDecay: 0.1,
  optimizerState: 'f32' as OptimizerState,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
  sparsityRampSteps: 0,
  hiddenL1RampSteps: 0,
  distill: 0,
  distillTemperature: 1,
  replayShare: 0,
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

/** Below it nothing would be pruned, and times the share of a token in the loss it might not be a number of f32 any more. */
const LEAST_PRUNING = 1e-12;

const KNOWN_FIELDS: readonly string[] = [
  ...Object.keys(DEFAULTS),
  ...['seqLen', 'minLr', 'warmupSteps', 'stageTwoLr', 'stageTwoWeightDecay', 'loraAlpha', 'tokens'],
];

/**
 * Fills in what is left out and checks the whole, for a model with a context of `context` tokens. Besides the table of defaults: seqLen = context, minLr = lr / 10, loraAlpha = 2 loraRank, warmupSteps = a tenth
 * of the run and at most 200, steps = tokens / (batchSize * accumulate * seqLen), rounded up; with the schedule two-stage minLr = 0,
 * stageTwoLr = lr * 2 / 3 and stageTwoWeightDecay = 0.
 * Throws UsageError with ALL that is wrong: for each problem the field, what it must be and what it is.
 */
export function resolveTrainConfig(input: TrainConfigInput, context: number): TrainConfig {
  const problems = new Problems('train');
  for (const field of Object.keys(input)) {
    if (!KNOWN_FIELDS.includes(field)) problems.addUnknown(field, KNOWN_FIELDS);
  }
  const { tokens, ...given } = input;
  const merged = { ...DEFAULTS, seqLen: context, ...given };
  if (tokens !== undefined) {
    if (input.steps !== undefined) problems.add('steps', 'and tokens both say how long the run is. Give one of them.');
    else merged.steps = Math.ceil(tokens / (merged.batchSize * merged.accumulate * merged.seqLen));
    problems.number('tokens', tokens, 'at least 1', (count) => count >= 1);
  }
  const isTwoStage = merged.schedule === 'two-stage';
  const config: TrainConfig = {
    ...merged,
    loraAlpha: input.loraAlpha ?? 2 * merged.loraRank,
    minLr: input.minLr ?? (isTwoStage ? 0 : merged.lr / 10),
    stageTwoLr: input.stageTwoLr ?? (isTwoStage ? defaultStageTwoLr(merged.lr) : null),
    stageTwoWeightDecay: input.stageTwoWeightDecay ?? (isTwoStage ? 0 : null),
    warmupSteps: input.warmupSteps ?? Math.min(200, Math.floor(merged.steps / 10)),
  };
  check(config, input, problems);
  if (input.seqLen !== undefined) checkSeqLen(config.seqLen, context, problems);
  problems.throwAny();
  return config;
}

/** The peak of the second half of a two-stage schedule, where none is given. */
export function defaultStageTwoLr(lr: number): number {
  return (lr * 2) / 3;
}

function check(config: TrainConfig, input: TrainConfigInput, problems: Problems): void {
  for (const field of ['batchSize', 'accumulate', 'validationTokens', 'keepLast', 'logEvery'] as const) {
    problems.whole(field, config[field], 1);
  }
  for (const field of ['validateEvery', 'saveEvery', 'detailEvery', 'sampleEvery', 'spikeSteps'] as const) {
    problems.whole(field, config[field], 0);
  }
  for (const field of ['sparsityRampSteps', 'hiddenL1RampSteps', 'skipTokens', 'seed'] as const)
    problems.whole(field, config[field], 0);
  // What is derived of a wrong number is not a second mistake.
  if (!problems.has('tokens', 'steps', 'batchSize', 'accumulate')) problems.whole('steps', config.steps, 1);
  if (input.warmupSteps !== undefined) problems.whole('warmupSteps', config.warmupSteps, 0);
  for (const field of ['lr', 'eps', 'spikeNats'] as const) {
    problems.number(field, config[field], 'above 0', (value) => value > 0);
  }
  for (const field of ['weightDecay', 'clip'] as const) {
    problems.number(field, config[field], '0 or more', (value) => value >= 0);
  }
  for (const field of ['beta1', 'beta2'] as const) {
    problems.number(field, config[field], 'in [0, 1)', (value) => value >= 0 && value < 1);
  }
  problems.number('validationShare', config.validationShare, 'in (0, 1)', (share) => share > 0 && share < 1);
  problems.number('replayShare', config.replayShare, 'in [0, 1)', (share) => share >= 0 && share < 1);
  problems.number('distill', config.distill, 'in [0, 1]', (weight) => weight >= 0 && weight <= 1);
  problems.number('distillTemperature', config.distillTemperature, 'above 0', (value) => value > 0);
  problems.number(
    'logitPruning',
    config.logitPruning,
    `0, or from ${LEAST_PRUNING} to below 1`,
    (threshold) => threshold === 0 || (threshold >= LEAST_PRUNING && threshold < 1),
  );
  problems.number('decayShare', config.decayShare, 'in (0, 1]', (share) => share > 0 && share <= 1);
  problems.choice('precision', config.precision, ['f32', 'bf16']);
  problems.choice('optimizerState', config.optimizerState, ['f32', 'int8']);
  problems.choice('schedule', config.schedule, ['cosine', 'wsd', 'two-stage']);
  problems.flag('recompute', config.recompute);
  checkLora(config, problems);
  checkStages(config, input, problems);
  if (problems.has('lr')) return;
  problems.number('minLr', config.minLr, '0 or more', (value) => value >= 0);
  if (config.minLr > config.lr) {
    problems.add('minLr', `must not be above lr: got minLr ${config.minLr}, lr ${config.lr}.`);
  }
}

function checkSeqLen(seqLen: number, context: number, problems: Problems): void {
  problems.whole('seqLen', seqLen, 1);
  if (seqLen > context)
    problems.add('seqLen', `must not be above the context of the model, ${context}, got ${seqLen}.`);
}

function checkLora({ loraRank, loraAlpha, loraPoints }: TrainConfig, problems: Problems): void {
  problems.whole('loraRank', loraRank, 0, ' (0: all weights are trained)');
  if (loraRank > 0) problems.number('loraAlpha', loraAlpha, 'above 0', (alpha) => alpha > 0);
  const points: unknown[] = typeof loraPoints === 'string' ? loraPoints.split(',') : [loraPoints];
  for (const point of points) problems.choice('loraPoints', point, POINTS);
}

/** The adapters that are to be trained, null for all weights. */
export function loraOf({ loraRank, loraAlpha, loraPoints }: TrainConfig): Lora | null {
  if (loraRank === 0) return null;
  return { rank: loraRank, alpha: loraAlpha, points: loraPoints.split(',') as Point[] };
}

function checkStages(config: TrainConfig, input: TrainConfigInput, problems: Problems): void {
  const { schedule, minLr, stageTwoLr, stageTwoWeightDecay } = config;
  if (schedule !== 'two-stage') {
    for (const field of ['stageTwoLr', 'stageTwoWeightDecay'] as const) {
      if (config[field] === null) continue;
      problems.add(field, `belongs to the schedule two-stage, got ${schedule}. Leave it out, or change the schedule.`);
    }
    return;
  }
  // What follows from a wrong lr is not a second mistake.
  if (input.stageTwoLr !== undefined || !problems.has('lr')) {
    problems.number('stageTwoLr', stageTwoLr, 'above 0', (value) => value > 0);
    if (!problems.has('stageTwoLr') && minLr > stageTwoLr!) {
      problems.add('minLr', `must not be above stageTwoLr: got minLr ${minLr}, stageTwoLr ${stageTwoLr}.`);
    }
  }
  problems.number('stageTwoWeightDecay', stageTwoWeightDecay, '0 or more', (value) => value >= 0);
}
