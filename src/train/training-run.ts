/**
 * A training run in its directory: the trainer with metrics, checkpoints and a lock, begun anew or taken up again.
 *
 * Order on the disk: records are flushed before a checkpoint is written, so the metrics always reach at least to the step of
 * the latest checkpoint, and a resume cuts off what lies behind it. The data and the tokenizer are prepared by the caller.
 */

import { basename, resolve } from 'node:path';
import type { Observer } from '../autograd/observer.ts';
import type { Backend } from '../backend.ts';
import { type Checkpoint, findCheckpoint, readCheckpoint } from '../formats/checkpoint-directory.ts';
import type { InitialParameters } from '../model/initial-parameters.ts';
import { countParameters } from '../model/parameters.ts';
import { type QSparseError, UsageError } from '../util/errors.ts';
import { progressOf, restoreTrainer, saveTrainer } from './checkpointing.ts';
import { DivergenceError } from './divergence-error.ts';
import type { MetricsRecord, SampleRecord } from './metrics.ts';
import { MetricsWriter } from './metrics-writer.ts';
import { holdsCheckpoint, type RunSettings, runPaths, writeRunSettings } from './run-directory.ts';
import { type RunOptions, type RunOutcome, Trainer, type TrainingData } from './trainer.ts';

export interface TrainingRunOptions {
  /** The run directory; the caller holds its lock (formats/run-lock.ts). */
  directory: string;
  settings: RunSettings;
  backend: Backend;
  data: TrainingData;
  /** Contents of tokenizer.json, for the checkpoints. */
  tokenizer: object | string;
  /** Contents of tokenizer_config.json, of a model that came from another program. */
  tokenizerConfig?: object | null;
  /** The values that the run begins with, where there is no checkpoint to go on from; by default fresh ones. With distillation the teacher's. */
  initial?: InitialParameters | undefined;
  /** Goes on from the latest checkpoint, or from the beginning where there is none. */
  resume: boolean;
  /** Machine and version in words, for the records. */
  machine: string;
  version: string;
  /** Sees every record after it was written. */
  onRecord?: (record: MetricsRecord) => void;
  /** See TrainerHooks. */
  onValidation?: (done: number, total: number) => void;
  /** Text of the model after a step, see TrainerHooks. */
  sample?: (step: number, trainer: Trainer) => Promise<SampleRecord | null>;
  /** See TrainerHooks. */
  observer?: Observer | undefined;
}

export class TrainingRun {
  readonly trainer: Trainer;
  /** Finished steps when this part of the run began. */
  readonly startStep: number;
  readonly #options: TrainingRunOptions;
  readonly #metrics: MetricsWriter;
  #lastCheckpoint: string | null;

  /**
   * Writes run.json, restores the trainer on resume, cuts the metrics to its step and writes the run record. Throws
   * FormatError where a file of the run is missing, damaged or of another model, UsageError where it has more steps behind
   * it than `train.steps`.
   */
  static open(options: TrainingRunOptions): TrainingRun {
    const checkpoint = options.resume ? latestCheckpoint(options.directory) : null;
    try {
      return new TrainingRun(options, checkpoint);
    } finally {
      checkpoint?.close();
    }
  }

  private constructor(options: TrainingRunOptions, checkpoint: Checkpoint | null) {
    this.#options = options;
    this.#lastCheckpoint = checkpoint?.path ?? null;
    if (checkpoint) refuseFewerSteps(options.settings.train.steps, progressOf(checkpoint).step);
    this.trainer = new Trainer({
      model: options.settings.model,
      train: options.settings.train,
      backend: options.backend,
      data: options.data,
      observer: options.observer,
      initial: options.initial,
      ...(checkpoint && { progress: progressOf(checkpoint) }),
      onRecord: (record) => this.#record(record),
      save: (best) => this.#save(best),
      ...(options.onValidation && { onValidation: options.onValidation }),
      ...(options.sample && { sample: (step) => options.sample!(step, this.trainer) }),
    });
    if (checkpoint) restoreTrainer(checkpoint, this.trainer);
    this.startStep = this.trainer.progress.step;
    writeRunSettings(options.directory, options.settings);
    this.#metrics = MetricsWriter.open(runPaths(options.directory).metrics, this.startStep);
    this.#record({
      type: 'run',
      name: basename(resolve(options.directory)),
      startedAt: new Date().toISOString(),
      step: this.startStep,
      model: options.settings.model,
      train: { ...options.settings.train },
      parameters: countParameters(options.settings.model),
      backend: options.backend.description,
      machine: options.machine,
      version: options.version,
    });
  }

  /** The directory of the latest checkpoint, null before the first. */
  get lastCheckpoint(): string | null {
    return this.#lastCheckpoint;
  }

  /** Trains as `Trainer.run` does. Throws DivergenceError that says which checkpoint is the last one. */
  async run(options: RunOptions = {}): Promise<RunOutcome> {
    try {
      return await this.trainer.run(options);
    } catch (error) {
      if (!(error instanceof DivergenceError)) throw error;
      const where = this.#lastCheckpoint ?? 'none yet';
      throw new DivergenceError(error.where, `${withoutWhere(error)} Last checkpoint: ${where}.`, { cause: error });
    }
  }

  /** Makes the records of the run so far readable for others. */
  flush(): void {
    this.#metrics.flush();
  }

  /** Makes the metrics durable and frees the trainer. */
  close(): void {
    this.#metrics.close();
    this.trainer.dispose();
  }

  #record(record: MetricsRecord): void {
    this.#metrics.write(record);
    this.#options.onRecord?.(record);
  }

  #save(best: boolean): void {
    this.#metrics.flush();
    const { directory, tokenizer, tokenizerConfig = null } = this.#options;
    this.#lastCheckpoint = saveTrainer(directory, this.trainer, { tokenizer, tokenizerConfig, best });
  }
}

/** Its schedule would be another one, and run.json would say that the run is shorter than it is. */
function refuseFewerSteps(steps: number, done: number): void {
  if (steps >= done) return;
  throw new UsageError(
    '--steps',
    `the run has ${done} steps behind it: expected at least ${done}, got ${steps}. Give more.`,
  );
}

/** A run that ended before its first checkpoint has none; one whose checkpoints are damaged has an error. */
function latestCheckpoint(directory: string): Checkpoint | null {
  if (!holdsCheckpoint(directory)) return null;
  return readCheckpoint(findCheckpoint(directory, 'latest'));
}

function withoutWhere(error: QSparseError): string {
  return error.message.slice(error.where.length + '[] '.length);
}
