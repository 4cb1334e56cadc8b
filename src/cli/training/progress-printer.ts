/**
 * Shows the records of a run as it goes on: one live line for the steps, a lasting line for each validation and sample.
 *
 * Keeps what the summary needs from them. In a pipe the live line becomes a plain one every few seconds (StatusLine).
 */

import type { MetricsRecord, SampleRecord, StepRecord, ValidationRecord } from '../../train/metrics.ts';
import type { TrainConfig } from '../../train/train-config.ts';
import { formatInteger, formatNumber, formatPercent } from '../../util/format.ts';
import type { Output } from '../shared/output.ts';

/** Time left from the last so many step records: follows a machine that other work slows down. */
const RECENT_RECORDS = 20;
/** A validation that is over sooner is not shown on its way: in a log that would be two more lines for each. */
const SHORT_VALIDATION_MS = 1000;

export class ProgressPrinter {
  readonly #output: Output;
  readonly #config: TrainConfig;
  readonly #name: string;
  readonly #recent: StepRecord[] = [];
  #lastStep: StepRecord | null = null;
  #lastValidation: ValidationRecord | null = null;
  /** When the validation in hand began, performance.now(). */
  #validatingSince = 0;

  /** `name` stands before every line, where several runs share one output. */
  constructor(output: Output, config: TrainConfig, name = '') {
    this.#output = output;
    this.#config = config;
    this.#name = name && `${name}, `;
  }

  /** The last step record of this part of the run, null before the first. */
  get lastStep(): StepRecord | null {
    return this.#lastStep;
  }

  get lastValidation(): ValidationRecord | null {
    return this.#lastValidation;
  }

  record(record: MetricsRecord): void {
    if (record.type === 'step') this.#step(record);
    else if (record.type === 'validation') this.#validation(record);
    else if (record.type === 'sample') this.#sample(record);
  }

  /** A validation is so many tokens on its way. */
  validating(done: number, total: number): void {
    const now = performance.now();
    if (done === 0) this.#validatingSince = now;
    if (now - this.#validatingSince < SHORT_VALIDATION_MS) return;
    this.#output.progress().update({ label: `${this.#name}validation`, done, total, unit: 'tokens' });
  }

  #step(record: StepRecord): void {
    this.#lastStep = record;
    this.#recent.push(record);
    if (this.#recent.length > RECENT_RECORDS) this.#recent.shift();
    const [first] = this.#recent;
    // One record alone has only its own step to go by.
    const tokens = record === first ? record.tokens / record.step : record.tokens - first.tokens;
    const seconds = record === first ? tokens / record.tokensPerSecond : record.seconds - first.seconds;
    const tokensLeft = ((this.#config.steps - record.step) * record.tokens) / record.step;
    this.#output.progress().update({
      label: `${this.#name}training`,
      done: record.step,
      total: this.#config.steps,
      text: stepText(record),
      unit: 'tokens',
      rate: tokens / seconds,
      secondsLeft: (tokensLeft * seconds) / tokens,
    });
  }

  #validation(record: ValidationRecord): void {
    this.#lastValidation = record;
    const best = record.best ? ', best so far' : '';
    const loss = `validation loss ${record.loss.toFixed(4)}`;
    this.#output.line(`${this.#name}step ${record.step}: ${loss}, ${record.bitsPerByte.toFixed(4)} bits/byte${best}`);
  }

  #sample({ step, prompt, text }: SampleRecord): void {
    this.#output.line(`${this.#name}step ${step}: ${JSON.stringify(prompt + text)}`);
  }
}

function stepText(record: StepRecord): string[] {
  const { step, loss, lr, modelSparsity } = record;
  const zeros = `${formatPercent(modelSparsity, 0)} zeros`;
  return [`step ${formatInteger(step)}`, `loss ${loss.toFixed(4)}`, `lr ${formatNumber(lr)}`, zeros];
}
