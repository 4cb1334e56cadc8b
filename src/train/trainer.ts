/**
 * The training loop: batch, passes, checks, update, records; from any step to any other.
 *
 * The trainer knows a model, an optimiser and a source of batches. It does not know files: records go to `onRecord`, `save`
 * is called when a checkpoint is due, and `checkpointing.ts` says what belongs in one. All that the next step depends on
 * is in the parameters, the moments and `progress`; batches and schedules are functions of the step. So a resumed run
 * computes the same bits as one that never stopped.
 *
 * A step is checked before its update: with a loss or gradient that is not finite, or a loss that has left the curve, the
 * run ends with DivergenceError, the parameters as they were after the last good step.
 */

import { type Observer, within } from '../autograd/observer.ts';
import type { Backend, Kernels } from '../backend.ts';
import { withKernels } from '../backends/with-kernels.ts';
import type { ModelConfig } from '../model/config.ts';
import { denseTrainingFlops } from '../model/flops.ts';
import type { InitialParameters } from '../model/initial-parameters.ts';
import { StepStatistics } from '../model/statistics.ts';
import { withoutSparsifier } from '../model/threshold-calibration.ts';
import { type Distillation, type LossTerms, Transformer } from '../model/transformer.ts';
import { countTargets } from '../ops/cross-entropy.ts';
import { chanceOf } from '../tensor/chance.ts';
import { type IntTensor, view } from '../tensor/tensor.ts';
import { UsageError } from '../util/errors.ts';
import { turnEventLoop } from '../util/turn-event-loop.ts';
import { AdamW } from './adamw.ts';
import { checkPrecision } from './check-precision.ts';
import { findOrigin, firstBrokenParameter } from './diagnose.ts';
import { DivergenceError } from './divergence-error.ts';
import { LossWatch } from './loss-watch.ts';
import type {
  DetailRecord,
  MetricsRecord,
  RouterRecord,
  SampleRecord,
  StepRecord,
  ValidationRecord,
} from './metrics.ts';
import { l1ScaleAt, learningRateAt, sparsityScaleAt, weightDecayAt } from './schedule.ts';
import { StepClock } from './step-clock.ts';
import type { TokenData } from './token-data.ts';
import { loraOf, type TrainConfig } from './train-config.ts';

/** What the trainer needs of a data set. */
export interface TrainingData extends Pick<TokenData, 'validationBatches' | 'validationTokens' | 'validationBytes'> {
  /** Rows hold several texts: batches have `starts`. */
  readonly packed?: boolean;
  /**
   * Writes batch number `step`, a pure function of it: ids, targets and, for packed data, `starts`, each batchSize * seqLen (TokenBatch says what
   * they are).
   */
  batch(
    step: number,
    batchSize: number,
    seqLen: number,
    ids: Int32Array,
    targets: Int32Array,
    starts?: Int32Array,
  ): void;
}

/** Everything besides tensors that the next step depends on or that a run adds up; plain JSON. */
export interface TrainingProgress {
  /** Finished updates. */
  step: number;
  /** Training tokens seen. */
  tokens: number;
  /** Seconds in steps, without validation, sampling and saving. */
  seconds: number;
  /** Lowest validation loss so far, null before the first. */
  bestLoss: number | null;
  /** Recent losses, see LossWatch. */
  lossWindow: readonly number[];
  /** Spikes in a row up to this step, see LossWatch. */
  lossStreak: number;
  /** The validation after this step was stopped and is still to come; absent in older checkpoints. */
  validationDue?: boolean;
}

export interface TrainerHooks {
  /** Sees every record in the order of the file. */
  onRecord?: (record: MetricsRecord) => void;
  /** Text from the model as it is after `step`, or null for none; called every `sampleEvery` steps. */
  sample?: (step: number) => Promise<SampleRecord | null>;
  /** Called before each batch of a validation: its tokens so far, and about how many there will be. */
  onValidation?: (done: number, total: number) => void;
  /** A checkpoint is due; `best`: this state has the lowest validation loss so far. */
  save?: (best: boolean) => void;
  /** Is told where each training step is and what it holds; validation and samples are none of its business. */
  observer?: Observer | undefined;
}

export interface TrainerOptions extends TrainerHooks {
  model: ModelConfig;
  train: TrainConfig;
  backend: Backend;
  data: TrainingData;
  /** The values that a new run begins with, read now; by default fresh ones. The teacher of a distillation has them too, in a run that goes on as well. */
  initial?: InitialParameters | undefined;
  /** Of the checkpoint to go on from; the tensors are put back by `restoreTrainer`. */
  progress?: TrainingProgress;
}

export interface RunOptions {
  /** Asks to stop after the step in hand, or in the validation behind it, and to save. */
  signal?: AbortSignal;
  /** Stops and saves after so many seconds of training time in this call. */
  maxSeconds?: number;
  /** Stops and saves after this step; the schedules still run to `train.steps`. */
  untilStep?: number;
}

/** Why `run` came back: the last step is done, the signal was given, or a limit of this call was reached. */
export type RunOutcome = 'done' | 'interrupted' | 'limit';

const START: TrainingProgress = { step: 0, tokens: 0, seconds: 0, bestLoss: null, lossWindow: [], lossStreak: 0 };

export class Trainer {
  readonly model: Transformer;
  readonly optimizer: AdamW;
  /** The model that the run began with, dense and frozen; null without distillation. */
  readonly teacher: Transformer | null;
  readonly config: TrainConfig;
  readonly #backend: Backend;
  readonly #data: TrainingData;
  readonly #hooks: TrainerHooks;
  readonly #clock: StepClock;
  readonly #watch: LossWatch;
  readonly #ids: IntTensor;
  readonly #targets: IntTensor;
  readonly #starts: IntTensor;
  /** What the model runs on: the clock's table, and a watched one to find where a step broke. */
  #kernels: Kernels;
  #step: number;
  #tokens: number;
  #seconds: number;
  #bestLoss: number | null;
  /** What comes after the last step was stopped in its validation: it is done before the next step, or when a resumed run begins. */
  #validationDue: boolean;
  /** The step that was saved last, so that the end of a run does not save it again. */
  #savedStep: number;

  /**
   * Allocates the model, its gradients and moments on `backend`; a fresh model unless it is restored afterwards. Throws BackendError
   * for bf16 on a backend that has no instruction for it, UsageError for a ramp of a sparsity that the model does not have.
   */
  constructor(options: TrainerOptions) {
    const { train, data, initial, progress = START } = options;
    checkPrecision(train.precision, options.backend);
    checkRamp(options.model, train);
    this.#clock = new StepClock(options.backend.kernels, options.observer);
    this.#kernels = this.#clock.kernels;
    this.#backend = options.backend;
    const backend = withKernels(options.backend, () => this.#kernels);
    const begin = options.progress ? {} : { initial };
    this.model = Transformer.create(options.model, backend, { seed: train.seed, lora: loraOf(train), ...begin });
    // On kernels that nobody times: what a teacher lists is part of its own time, not of this model's selection.
    this.teacher = train.distill > 0 ? this.#createTeacher(initial, options.backend) : null;
    this.optimizer = new AdamW(this.model.parameters, options.backend.kernels, this.model.pool, train);
    this.config = train;
    this.#data = data;
    this.#hooks = options;
    const { lossWindow: window, lossStreak: streak } = progress;
    this.#watch = new LossWatch({ nats: train.spikeNats, steps: train.spikeSteps, window, streak });
    this.#step = progress.step;
    this.#savedStep = progress.step;
    this.#tokens = progress.tokens;
    this.#seconds = progress.seconds;
    this.#bestLoss = progress.bestLoss;
    this.#validationDue = progress.validationDue ?? false;
    this.#ids = this.model.pool.take('i32', [train.batchSize * train.seqLen]);
    this.#targets = this.model.pool.take('i32', [train.batchSize * train.seqLen]);
    this.#starts = this.model.pool.take('i32', [train.batchSize * train.seqLen]);
  }

  get progress(): TrainingProgress {
    return {
      step: this.#step,
      tokens: this.#tokens,
      seconds: this.#seconds,
      bestLoss: this.#bestLoss,
      lossWindow: [...this.#watch.window],
      lossStreak: this.#watch.streak,
      validationDue: this.#validationDue,
    };
  }

  /** Tokens of one step. */
  get tokensPerStep(): number {
    return this.config.accumulate * this.config.batchSize * this.config.seqLen;
  }

  /**
   * Trains until the last step, the signal or a limit, with the validations, samples and saves that are due on the way,
   * and saves the state in which it stops. Throws DivergenceError where the training breaks down, without saving.
   */
  async run({ signal, maxSeconds = Infinity, untilStep = Infinity }: RunOptions = {}): Promise<RunOutcome> {
    const secondsBefore = this.#seconds;
    const limitReached = () => this.#step >= untilStep || this.#seconds - secondsBefore >= maxSeconds;
    if (this.#validationDue) await this.#afterStep(signal);
    while (this.#step < this.config.steps && !signal?.aborted && !limitReached()) {
      within(this.#hooks.observer, 'step', `step ${this.#step + 1}`, () => this.#takeStep());
      await this.#afterStep(signal);
      await turnEventLoop();
    }
    if (this.#savedStep !== this.#step) this.#save(false);
    if (this.#step >= this.config.steps && !this.#validationDue) return 'done';
    return signal?.aborted ? 'interrupted' : 'limit';
  }

  /**
   * Mean loss on held-out text at full sparsity, at most `validationTokens` of it; null where there is none, and where `signal` came before the
   * last batch.
   */
  async validate(signal?: AbortSignal): Promise<ValidationRecord | null> {
    const { batchSize, seqLen, validationTokens } = this.config;
    const total = Math.min(validationTokens, this.#data.validationTokens);
    let sum = 0;
    let tokens = 0;
    for (const batch of this.#data.validationBatches(batchSize, seqLen, validationTokens)) {
      this.#hooks.onValidation?.(tokens, total);
      await turnEventLoop();
      if (signal?.aborted) return null;
      const count = batch.ids.length;
      const ids = view(this.#ids, [count]);
      const targets = view(this.#targets, [count]);
      ids.data.set(batch.ids);
      targets.data.set(batch.targets);
      const starts = batch.starts && view(this.#starts, [count]);
      starts?.data.set(batch.starts!);
      const counted = countTargets(targets);
      sum +=
        counted *
        this.model.loss(ids, targets, { batch: count / seqLen, seqLen, starts }, { precision: this.config.precision });
      tokens += counted;
    }
    if (tokens === 0) return null;
    const loss = sum / tokens;
    const best = this.#bestLoss === null || loss < this.#bestLoss;
    if (best) this.#bestLoss = loss;
    const bitsPerByte = ((loss / Math.LN2) * this.#data.validationTokens) / this.#data.validationBytes;
    const { step, tokens: seen, seconds } = this.progress;
    return { type: 'validation', step, tokens: seen, seconds, loss, bitsPerByte, best };
  }

  /** Gives all memory back; the model goes too. */
  dispose(): void {
    this.optimizer.dispose();
    this.teacher?.dispose();
    this.model.pool.release(this.#ids);
    this.model.pool.release(this.#targets);
    this.model.pool.release(this.#starts);
    this.model.dispose();
    this.model.pool.trim();
  }

  /** One update and its records. */
  #takeStep(): void {
    const step = this.#step + 1;
    const since = performance.now();
    this.#clock.begin();
    const detailed = isDue(this.config.detailEvery, step);
    const statistics = new StepStatistics(this.model.config, { detail: detailed });
    const terms = this.#accumulate(step, statistics);
    const { loss } = terms;
    const lr = learningRateAt(this.config, step);
    const gradNorm = this.#clock.measure('optimizer', () => this.optimizer.globalNorm());
    this.#check(step, loss, gradNorm);
    const projectionNorms = detailed ? this.optimizer.projectionNorms() : {};
    const weightDecay = weightDecayAt(this.config, step);
    const update = { step, lr, weightDecay, norm: gradNorm, clip: this.config.clip };
    this.#clock.measure('optimizer', () => this.optimizer.step(update));
    const stepSeconds = (performance.now() - since) / 1000;
    this.#step = step;
    this.#tokens += this.tokensPerStep;
    this.#seconds += stepSeconds;
    if (step % this.config.logEvery === 0 || step === this.config.steps) {
      this.#emit(this.#stepRecord({ ...terms, lr, gradNorm }, statistics, stepSeconds));
    }
    if (detailed) this.#emit(this.#detailRecord(statistics, projectionNorms));
  }

  /** The passes of one step: their gradients are added up in the parameters; the mean of their losses. */
  #accumulate(step: number, statistics: StepStatistics): LossTerms {
    const mean: LossTerms = { loss: 0, l1: 0, router: 0, divergence: 0 };
    for (let pass = 0; pass < this.config.accumulate; pass++) {
      const result = this.#clock.pass(() => this.#pass(step, pass, statistics));
      for (const term of Object.keys(mean) as (keyof LossTerms)[]) mean[term] += result[term] / this.config.accumulate;
    }
    return mean;
  }

  #pass(step: number, pass: number, statistics?: StepStatistics): LossTerms {
    const { batchSize, seqLen, accumulate, skipTokens, recompute, precision, logitPruning, seed } = this.config;
    const skippedSteps = Math.ceil(skipTokens / this.tokensPerStep);
    const index = (skippedSteps + step - 1) * accumulate + pass;
    const [ids, targets, starts] = [this.#ids, this.#targets, this.#starts];
    this.#clock.measure('data', () => this.#data.batch(index, batchSize, seqLen, ids.data, targets.data, starts.data));
    return this.model.lossAndGradients(
      ids,
      targets,
      { batch: batchSize, seqLen, starts: this.#data.packed ? starts : undefined },
      {
        gradientScale: 1 / accumulate,
        recompute,
        precision,
        logitPruning: logitPruning > 0 ? { threshold: logitPruning, seed: chanceOf(index, seed) } : null,
        sparsityScale: sparsityScaleAt(this.config.sparsityRampSteps, step),
        l1Scale: l1ScaleAt(this.config.hiddenL1RampSteps, step),
        ...(statistics && { statistics }),
        sameParameters: pass > 0,
        distillation: this.#distillation,
        observer: this.#hooks.observer,
      },
    );
  }

  /** Throws DivergenceError, before the update, where the step cannot be trusted; its gradients are dropped. */
  #check(step: number, loss: number, gradNorm: number): void {
    let problem: string;
    if (Number.isFinite(loss) && Number.isFinite(gradNorm)) {
      // Growing sparsity makes the loss grow: nothing is usual yet.
      if (sparsityScaleAt(this.config.sparsityRampSteps, step) < 1) {
        this.#watch.clear();
        return;
      }
      const median = this.#watch.observe(loss);
      if (median === null) return;
      const { spikeSteps, spikeNats } = this.config;
      problem =
        `the loss has left its curve: ${loss.toFixed(3)}, ${spikeSteps} steps in a row more than ${spikeNats} above the ` +
        `median ${median.toFixed(3)}`;
    } else {
      const what = Number.isFinite(loss) ? `the gradient norm is ${gradNorm}` : `the loss is ${loss}`;
      problem = `${what}; first not finite: ${this.#originOfBreak(step)}`;
    }
    for (const { gradient } of this.model.parameters) gradient.data.fill(0);
    throw new DivergenceError(
      'train',
      `step ${step}: ${problem}. The last checkpoint is as it was: lower --lr or --clip and go on from it with --resume.`,
    );
  }

  /** In words, which tensor was the first to break. */
  #originOfBreak(step: number): string {
    const parameter = firstBrokenParameter(this.model.parameters);
    if (parameter !== null) return `the values of ${parameter}`;
    const brokenGradient = this.optimizer.firstBrokenGradient();
    const named = { parameters: this.model.parameters, multiplied: this.model.multipliedParameters() };
    const origin = findOrigin(this.#backend.kernels, named, (watched) => {
      this.#kernels = watched;
      for (const { gradient } of this.model.parameters) gradient.data.fill(0);
      for (let pass = 0; pass < this.config.accumulate; pass++) this.#pass(step, pass);
    });
    this.#kernels = this.#clock.kernels;
    return origin ?? `the gradient of ${brokenGradient ?? 'no single parameter (their sum overflows)'}`;
  }

  /** Validation, sample and checkpoint, where they are due after the step just done. A validation that `signal` stops leaves all of them for later. */
  async #afterStep(signal: AbortSignal | undefined): Promise<void> {
    const isLast = this.#step >= this.config.steps;
    const wasStopped = this.#validationDue;
    let best = false;
    if (isLast || wasStopped || isDue(this.config.validateEvery, this.#step)) {
      const record = await this.validate(signal);
      this.#validationDue = record === null && signal?.aborted === true;
      if (this.#validationDue) return;
      if (record) this.#emit(record);
      best = record?.best ?? false;
    }
    if (this.#hooks.sample && isDue(this.config.sampleEvery, this.#step)) {
      const record = await this.#hooks.sample(this.#step);
      if (record) this.#emit(record);
    }
    // A new best is saved at once: later the parameters have moved on. In the middle of a spike nothing is: if it turns
    // out to be divergence, the checkpoint before it must still be there. One that says that its validation is still to come is replaced.
    const due = isDue(this.config.saveEvery, this.#step) && this.#watch.streak === 0;
    if (isLast || best || due || wasStopped) this.#save(best);
  }

  #save(best: boolean): void {
    this.#hooks.save?.(best);
    this.#savedStep = this.#step;
  }

  #emit(record: MetricsRecord): void {
    this.#hooks.onRecord?.(record);
  }

  #stepRecord(
    { router, divergence, ...values }: LossTerms & Pick<StepRecord, 'lr' | 'gradNorm'>,
    statistics: StepStatistics,
    stepSeconds: number,
  ): StepRecord {
    const { batchSize, accumulate, seqLen } = this.config;
    const shape = { batch: batchSize * accumulate, seqLen, targets: statistics.targets };
    return {
      type: 'step',
      step: this.#step,
      tokens: this.#tokens,
      seconds: this.#seconds,
      ...values,
      tokensPerSecond: this.tokensPerStep / stepSeconds,
      gflops: statistics.flops / stepSeconds / 1e9,
      gflopsDenseEquivalent: denseTrainingFlops(this.model.config, shape) / stepSeconds / 1e9,
      partsMs: this.#clock.parts(statistics),
      modelSparsity: statistics.modelSparsity(),
      ...(this.model.config.nExperts > 0 && { router: routerRecord(router, statistics) }),
      ...(this.teacher && { divergence }),
    };
  }

  get #distillation(): Distillation | null {
    const { distill: weight, distillTemperature: temperature } = this.config;
    return this.teacher && { teacher: this.teacher, weight, temperature };
  }

  #createTeacher(initial: InitialParameters | undefined, backend: Backend): Transformer {
    if (initial === undefined) {
      throw new UsageError('train', 'distill needs the model that the training began with as the teacher: got none.');
    }
    const { pool } = this.model;
    return Transformer.create(withoutSparsifier(initial.config), backend, { seed: 0, initial, pool, frozen: true });
  }

  #detailRecord(statistics: StepStatistics, gradNorm: Record<string, number[]>): DetailRecord {
    return {
      type: 'detail',
      step: this.#step,
      sparsity: statistics.sparsity(),
      energyKept: statistics.energyKept(),
      gradNorm,
      deadChannels: statistics.deadChannels(),
      ...(this.model.config.nExperts > 0 && { expertLoad: statistics.expertLoad() }),
      peakBytes: this.model.pool.peakBytes,
    };
  }
}

function routerRecord(loss: number, statistics: StepStatistics): RouterRecord {
  const load = statistics.expertLoad().flat();
  const deadExperts = load.filter((share) => share === 0).length / load.length;
  return { loss, ...statistics.routerTerms(), largestShare: Math.max(...load), deadExperts };
}

/** True at every multiple of `every`; 0 is never. */
function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

/** Shares and thresholds can grow from 0; a ReLU is there or not. */
function checkRamp({ sparsifier }: ModelConfig, { sparsityRampSteps }: TrainConfig): void {
  if (sparsityRampSteps === 0 || ['topk', 'block', 'threshold'].includes(sparsifier)) return;
  throw new UsageError(
    'train',
    `sparsityRampSteps must be 0 with sparsifier ${sparsifier}, which has no share that could grow, got ${sparsityRampSteps}.`,
  );
}
