/**
 * The options of `qsparse train`, and what they say about the model and the training.
 *
 * Only what was given counts: an option that was left out appears in neither result, so that recipes, presets, defaults and, on
 * resume, the settings of the run can fill it in. Ranges are checked by resolveConfig and resolveTrainConfig, in one
 * place for options and recipes.
 */

import { type Command, Option } from 'commander';
import type { Activation, Precision } from '../../backend.ts';
import {
  keptCount,
  type ModelConfig,
  type ModelConfigInput,
  type Point,
  SPARSIFIERS,
  type Sparsifier,
  type Sparsity,
} from '../../model/config.ts';
import type { LearningRateSchedule } from '../../train/schedule.ts';
import type { TrainConfigInput } from '../../train/train-config.ts';
import { UsageError } from '../../util/errors.ts';
import {
  addCommonOptions,
  type CommonOptions,
  parseChoice,
  parseInteger,
  parseNumber,
  parsePositiveInteger,
  parseShare,
} from '../shared/common-options.ts';
import { TRACED_STEPS } from './profile/profiler.ts';

export interface TrainCommandOptions extends CommonOptions {
  text?: string[];
  textField: string;
  out: string;
  resume: boolean;
  tokenizer?: string;

  preset?: string;
  dim?: number;
  hiddenDim?: number;
  layers?: number;
  heads?: number;
  kvHeads?: number;
  vocabSize?: number;
  seqLen?: number;
  sparsifier?: Sparsifier;
  sparsity?: SparsityOption;
  blockSize?: number;
  activation?: Activation;
  gradient?: ModelConfig['gradient'];
  rescale?: ModelConfig['rescale'];
  hiddenL1?: number;
  experts?: number;
  expertsPerToken?: number;
  routerLoadBalance?: number;
  routerZLoss?: number;
  activationFormat?: ModelConfig['activationFormat'];
  weightFormat?: ModelConfig['weightFormat'];
  subNorms?: boolean;

  steps?: number;
  tokens?: number;
  batchSize?: number;
  accumulate?: number;
  recompute?: boolean;
  precision?: Precision;
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

const ACTIVATIONS: readonly Activation[] = ['relu2', 'relu', 'silu'];
const SPARSIFIER_HELP = 'what is set to zero before a projection';
const GRADIENTS: readonly ModelConfig['gradient'][] = ['straight-through', 'masked'];
const RESCALES: readonly ModelConfig['rescale'][] = ['none', 'l2'];
const PRECISIONS: readonly Precision[] = ['f32', 'bf16'];
const SCHEDULES: readonly LearningRateSchedule[] = ['cosine', 'wsd', 'two-stage'];
const ACTIVATION_FORMATS: readonly ModelConfig['activationFormat'][] = ['float', 'int8'];
const WEIGHT_FORMATS: readonly ModelConfig['weightFormat'][] = ['float', 'ternary'];

/** Declares every option of TrainCommandOptions. */
export function addTrainOptions(command: Command): Command {
  addRunOptions(command);
  addModelOptions(command);
  addOptimizerOptions(command);
  addReportingOptions(command);
  addProfileOptions(command);
  return addCommonOptions(command.optionsGroup('Common options:'));
}

function addRunOptions(command: Command): void {
  command
    .optionsGroup('Text and run directory:')
    .option('--text <path...>', 'text files, folders, .jsonl; left out on resume: those of the run')
    .option('--text-field <name>', 'field of a JSONL line that holds the text', 'text')
    .option('--tokenizer <file>', 'an existing tokenizer.json (default: a new one from the text)')
    .requiredOption('--out <dir>', 'run directory: metrics, tokenizer, checkpoints')
    .option('--resume', 'go on with the run in --out from its latest checkpoint', false);
}

function addModelOptions(command: Command): void {
  const count = (flags: string, text: string) => whole(command, flags, text, 1);
  command.optionsGroup('Model:').option('--preset <name>', 'a named shape (default: quickstart)');
  count('--dim <n>', 'width of the residual stream');
  count('--hidden-dim <n>', 'width of the feed-forward (default: 2.75 dim)');
  count('--layers <n>', 'blocks');
  count('--heads <n>', 'attention heads');
  count('--kv-heads <n>', 'key/value heads (default: as heads)');
  count('--vocab-size <n>', 'size of the tokenizer to train');
  count('--seq-len <n>', 'context in tokens');
  command
    .addOption(choice('--sparsifier <name>', SPARSIFIER_HELP, SPARSIFIERS))
    .option(
      '--sparsity <share>',
      'share set to zero: 0.6, or qkv=0.6,o=0.6,gateUp=0.6,down=0; 0 is dense; 16:32 keeps 16 of each 32 (block)',
      parseSparsity,
    )
    .addOption(choice('--activation <name>', 'gate of the feed-forward', ACTIVATIONS))
    .addOption(choice('--gradient <name>', 'gradient through the selection', GRADIENTS))
    .addOption(choice('--rescale <name>', 're-scale what is kept by its norm', RESCALES))
    .addOption(choice('--activation-format <name>', 'what projections multiply: int8 rounds it', ACTIVATION_FORMATS))
    .addOption(choice('--weight-format <name>', 'ternary: BitNet b1.58, of latent f32 weights', WEIGHT_FORMATS))
    .option('--sub-norms', 'norms in front of the output projections of attention and feed-forward too (BitNet)');
  count('--block-size <n>', 'features of a block of --sparsifier block (default: 32)');
  real(command, '--hidden-l1 <x>', 'coefficient of the L1 term on hidden activations');
  whole(command, '--experts <n>', 'experts, each a feed-forward of its own; 0 for one feed-forward', 0);
  count('--experts-per-token <n>', 'experts that each token goes through');
  real(command, '--router-load-balance <x>', 'coefficient of the load-balance loss, such as 0.01');
  real(command, '--router-z-loss <x>', "coefficient of the router's z-loss, such as 0.001");
}

function addOptimizerOptions(command: Command): void {
  command.optionsGroup('Training:');
  whole(command, '--steps <n>', 'updates', 1);
  whole(command, '--tokens <n>', 'training tokens, instead of --steps', 1);
  whole(command, '--batch-size <n>', 'sequences of one pass', 1);
  whole(command, '--accumulate <n>', 'passes of one update', 1);
  command
    .addOption(choice('--precision <name>', 'of the products; bf16 needs a processor that has it', PRECISIONS))
    .option('--recompute', 'run each block forward again for its gradients: less memory, more time')
    .option('--no-recompute', 'the opposite, on resume');
  real(command, '--lr <x>', 'peak learning rate');
  real(command, '--min-lr <x>', 'rate of the last step (default: lr / 10; two-stage: 0)');
  whole(command, '--warmup <n>', 'steps of warm-up', 0);
  command.addOption(choice('--schedule <name>', 'learning rate', SCHEDULES));
  real(command, '--weight-decay <x>', 'decay of the matrices');
  real(command, '--stage-two-lr <x>', 'two-stage: peak rate of the second half (default: lr * 2 / 3)');
  real(command, '--stage-two-weight-decay <x>', 'two-stage: decay in the second half (default: 0)');
  real(command, '--beta1 <x>', 'AdamW');
  real(command, '--beta2 <x>', 'AdamW');
  real(command, '--clip <x>', 'largest global norm of the gradient, 0 for none');
  whole(command, '--sparsity-ramp <steps>', 'grow the sparsity from 0 over so many steps', 0);
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

function whole(command: Command, flags: string, text: string, least: 0 | 1): void {
  const name = flags.split(' ')[0];
  command.option(flags, text, least === 1 ? parsePositiveInteger(name) : parseInteger(name));
}

function real(command: Command, flags: string, text: string): void {
  command.option(flags, text, parseNumber(flags.split(' ')[0], { min: 0 }));
}

function choice(flags: string, text: string, choices: readonly string[]): Option {
  const option = new Option(flags, `${text}: ${choices.join(', ')}`);
  return option.argParser(parseChoice(flags.split(' ')[0], choices));
}

/** What --sparsity says: shares, and with KEPT:BLOCK the size of the blocks. */
export interface SparsityOption {
  readonly shares: number | Partial<Record<Point, Sparsity>>;
  readonly blockSize?: number;
}

/** `0.6` for one number, `qkv=0.6,down=0` by point, `16:32` in blocks; the names of points are checked by resolveConfig. */
export function parseSparsity(text: string): SparsityOption {
  if (text.includes(':')) return parseBlocks(text);
  if (!text.includes('=')) return { shares: parseShare('--sparsity')(text) };
  const shares: Record<string, number> = {};
  for (const part of text.split(',')) {
    const [point, share, ...rest] = part.split('=').map((side) => side.trim());
    if (!point || share === undefined || rest.length > 0) {
      throw new UsageError('--sparsity', `expected POINT=SHARE with commas between them, got "${part}".`);
    }
    if (point in shares) throw new UsageError('--sparsity', `${point} is given twice. Give each point once.`);
    shares[point] = parseShare(`--sparsity ${point}`)(share);
  }
  return { shares };
}

function parseBlocks(text: string): SparsityOption {
  const [, kept, blockSize] = (/^(\d+):(\d+)$/.exec(text.trim()) ?? []).map(Number);
  if (!(kept >= 1 && kept <= blockSize)) {
    throw new UsageError('--sparsity', `expected KEPT:BLOCK with 1 to BLOCK kept, such as 16:32, got "${text}".`);
  }
  const share = (blockSize - kept) / blockSize;
  // The quotient times the size may fall short of the whole number: then the next number above it.
  const shares = keptCount(share, blockSize) === kept ? share : share * (1 + Number.EPSILON);
  return { shares, blockSize };
}

/** A number of blocks says which sparsifier is meant. Throws UsageError where another option says otherwise. */
function sparsifierFieldsOf({ sparsifier, sparsity, blockSize }: TrainCommandOptions): Partial<ModelConfigInput> {
  const fields = { sparsity: sparsity?.shares, sparsifier, blockSize };
  if (sparsity?.blockSize === undefined) return given(fields);
  if (sparsifier !== undefined && sparsifier !== 'block') {
    const got = `got --sparsifier ${sparsifier}`;
    throw new UsageError('--sparsity', `KEPT:BLOCK is for --sparsifier block, ${got}. Leave it out, or give a share.`);
  }
  if (blockSize !== undefined && blockSize !== sparsity.blockSize) {
    throw new UsageError(
      '--sparsity',
      `blocks of ${sparsity.blockSize} against --block-size ${blockSize}. Leave one out.`,
    );
  }
  return given({ ...fields, sparsifier: 'block' as const, blockSize: sparsity.blockSize });
}

/** The fields of the model that options give. */
export function modelFieldsOf(options: TrainCommandOptions): Partial<ModelConfigInput> {
  return given({
    dim: options.dim,
    hiddenDim: options.hiddenDim,
    nLayers: options.layers,
    nHeads: options.heads,
    nKvHeads: options.kvHeads,
    vocabSize: options.vocabSize,
    seqLen: options.seqLen,
    ...sparsifierFieldsOf(options),
    activation: options.activation,
    gradient: options.gradient,
    rescale: options.rescale,
    hiddenL1: options.hiddenL1,
    nExperts: options.experts,
    nExpertsPerToken: options.expertsPerToken,
    routerLoadBalance: options.routerLoadBalance,
    routerZLoss: options.routerZLoss,
    activationFormat: options.activationFormat,
    weightFormat: options.weightFormat,
    subNorms: options.subNorms,
  });
}

/** The fields of the training that options give. */
export function trainFieldsOf(options: TrainCommandOptions): TrainConfigInput {
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
    sparsityRampSteps: options.sparsityRamp,
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

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
