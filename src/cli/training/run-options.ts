/**
 * The options of a training run that do not depend on where its model comes from: run directory, optimiser, records, profile. Those of every command
 * that trains.
 *
 * Only what was given counts: an option that was left out appears nowhere, so that recipes, defaults and, on resume, the settings of the run can fill it
 * in. Ranges are checked by resolveTrainConfig, in one place for options and recipes.
 */

import type { Command } from 'commander';
import type { Precision } from '../../backend.ts';
import type { OptimizerState } from '../../train/adamw.ts';
import type { LearningRateSchedule } from '../../train/schedule.ts';
import type { TrainConfigInput } from '../../train/train-config.ts';
import { addCommonOptions, type CommonOptions, parseShare } from '../shared/common-options.ts';
import { choice, given, real, whole } from './option-kinds.ts';
import { TRACED_STEPS } from './profile/profiler.ts';

export interface RunOptions extends CommonOptions {
  out: string;
  resume: boolean;

  steps?: number;
  tokens?: number;
  batchSize?: number;
  accumulate?: number;
  recompute?: boolean;
  precision?: Precision;
  logitPruning?: number;
  optimizerState?: OptimizerState;
  lr?: number;
  minLr?: number;
  warmup?: number;
  schedule?: LearningRateSchedule;
  weightDecay?: number;
  stageTwoLr?: number;
  stageTwoWeightDecay?: number;
  beta1?: number;
  beta2?: number;
  clip?: number;
  sparsityRamp?: number;
  hiddenL1Ramp?: number;
  validateEvery?: number;
  validationShare?: number;
  saveEvery?: number;
  keep?: number;
  logEvery?: number;
  detailEvery?: number;
  sampleEvery?: number;

  profile?: boolean;
  trace?: string;
}

/** A run on text. */
export interface TextOptions {
  text?: string[];
  textField?: string;
}

const PRECISIONS: readonly Precision[] = ['f32', 'bf16'];
const OPTIMIZER_STATES: readonly OptimizerState[] = ['f32', 'int8'];
const SCHEDULES: readonly LearningRateSchedule[] = ['cosine', 'wsd', 'two-stage'];

/** The field of a JSONL line that holds the text, where no other is named. */
export const DEFAULT_TEXT_FIELD = 'text';

/** Declares the options of TextOptions. */
export function addTextOptions(command: Command): void {
  command
    .option('--text <path...>', 'text files, folders, .jsonl; left out on resume: those of the run')
    .option(
      '--text-field <name>',
      'field of a JSONL line that holds the text (default: text; on resume that of the run)',
    );
}

/** Declares `--out` and `--resume`. */
export function addDirectoryOptions(command: Command): void {
  command
    .requiredOption('--out <dir>', 'run directory: metrics, tokenizer, checkpoints')
    .option('--resume', 'go on with the run in --out from its latest checkpoint', false);
}

/** Declares the others of RunOptions. */
export function addRunOptions(command: Command): void {
  addOptimizerOptions(command);
  addReportingOptions(command);
  addProfileOptions(command);
  addCommonOptions(command.optionsGroup('Common options:'));
}

function addOptimizerOptions(command: Command): void {
  command.optionsGroup('Training:');
  whole(command, '--steps <n>', 'updates; warm-up and ramps of a recipe take at most half of them', 1);
  whole(command, '--tokens <n>', 'training tokens, instead of --steps', 1);
  whole(command, '--batch-size <n>', 'sequences of one pass', 1);
  whole(command, '--accumulate <n>', 'passes of one update', 1);
  command
    .addOption(choice('--precision <name>', 'of the products; bf16 needs a processor that has it', PRECISIONS))
    .addOption(
      choice('--optimizer-state <name>', 'of the moments; int8 takes a quarter of the memory', OPTIMIZER_STATES),
    )
    .option('--recompute', 'run each block forward again for its gradients: less memory, more time')
    .option('--no-recompute', 'the opposite, on resume');
  real(command, '--logit-pruning <p>', 'leave gradients of logits below this probability to chance (default: 0, none)');
  real(command, '--lr <x>', 'peak learning rate');
  real(command, '--min-lr <x>', 'rate of the last step (default: lr / 10; two-stage: 0)');
  whole(command, '--warmup <n>', 'steps of warm-up, fewer than the run has (default: a tenth of it, 200 at most)', 0);
  command.addOption(choice('--schedule <name>', 'learning rate', SCHEDULES));
  real(command, '--weight-decay <x>', 'decay of the matrices');
  real(command, '--stage-two-lr <x>', 'two-stage: peak rate of the second half (default: lr * 2 / 3)');
  real(command, '--stage-two-weight-decay <x>', 'two-stage: decay in the second half (default: 0)');
  real(command, '--beta1 <x>', 'AdamW');
  real(command, '--beta2 <x>', 'AdamW');
  real(command, '--clip <x>', 'largest global norm of the gradient, 0 for none');
  whole(command, '--sparsity-ramp <steps>', 'grow the sparsity from 0 over so many steps', 0);
  whole(command, '--hidden-l1-ramp <steps>', 'the same of the coefficient of the L1 term (ProSparse)', 0);
}

function addReportingOptions(command: Command): void {
  command.optionsGroup('Validation, checkpoints, metrics:');
  whole(command, '--validate-every <n>', 'steps between validations, 0 at the end only', 0);
  command.option('--validation-share <share>', 'share of the text held out', parseShare('--validation-share'));
  whole(command, '--save-every <n>', 'steps between checkpoints, 0 at the end only', 0);
  whole(command, '--keep <n>', 'checkpoints kept besides the best', 1);
  whole(command, '--log-every <n>', 'steps between lines of metrics.jsonl', 1);
  whole(command, '--detail-every <n>', 'steps between norms and sparsity by layer, 0 for none', 0);
  whole(command, '--sample-every <n>', 'steps between samples of text, 0 for none', 0);
}

function addProfileOptions(command: Command): void {
  command
    .optionsGroup('Where the time goes:')
    .option('--profile', 'at the end: time of each kernel against the peaks of this machine, and what held the memory')
    .option('--trace <file>', `Chrome trace of ${TRACED_STEPS} steps, for https://ui.perfetto.dev`);
}

/** The fields of the training that options give. */
export function trainFieldsOf(options: RunOptions): TrainConfigInput {
  return given({
    steps: options.steps,
    tokens: options.tokens,
    batchSize: options.batchSize,
    accumulate: options.accumulate,
    lr: options.lr,
    minLr: options.minLr,
    warmupSteps: options.warmup,
    schedule: options.schedule,
    weightDecay: options.weightDecay,
    stageTwoLr: options.stageTwoLr,
    stageTwoWeightDecay: options.stageTwoWeightDecay,
    beta1: options.beta1,
    beta2: options.beta2,
    clip: options.clip,
    recompute: options.recompute,
    precision: options.precision,
    logitPruning: options.logitPruning,
    optimizerState: options.optimizerState,
    sparsityRampSteps: options.sparsityRamp,
    hiddenL1RampSteps: options.hiddenL1Ramp,
    validateEvery: options.validateEvery,
    validationShare: options.validationShare,
    saveEvery: options.saveEvery,
    keepLast: options.keep,
    logEvery: options.logEvery,
    detailEvery: options.detailEvery,
    sampleEvery: options.sampleEvery,
    seed: options.seed,
  });
}
