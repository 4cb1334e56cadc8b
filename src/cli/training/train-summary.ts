/**
 * What the commands that train say before the first step and at the end: numbers for people, the same as one object for `--json`.
 */

import type { Backend } from '../../backend.ts';
import { countParameters } from '../../model/parameters.ts';
import type { RunOutcome } from '../../train/trainer.ts';
import type { TrainingRun } from '../../train/training-run.ts';
import { formatBytes, formatCount, formatDuration, formatPercent, formatRate } from '../../util/format.ts';
import type { Output } from '../shared/output.ts';
import { sparsifierText } from '../shared/sparsifier-text.ts';
import type { ProgressPrinter } from './progress-printer.ts';
import type { RunData } from './run-data.ts';

export interface TrainSummary {
  outcome: RunOutcome;
  directory: string;
  checkpoint: string | null;
  step: number;
  steps: number;
  tokens: number;
  /** Seconds of training, all parts of the run added up. */
  seconds: number;
  /** Of the last step of this part of the run; null where there was none. */
  loss: number | null;
  validationLoss: number | null;
  bestValidationLoss: number | null;
  bitsPerByte: number | null;
  tokensPerSecond: number | null;
  /** Parameter-weighted share of zero inputs in the last step. */
  modelSparsity: number | null;
  /** The most memory that tensors took at once, and the process as a whole. */
  peakTensorBytes: number;
  peakProcessBytes: number;
}

/** One paragraph about model, text and backend. */
export function printStart(
  output: Output,
  run: TrainingRun,
  { backend, data, resume }: { backend: Backend; data: RunData; resume: boolean },
): void {
  const { model, config, tokensPerStep } = run.trainer;
  const { dim, nLayers, activation } = model.config;
  const { nExperts, nExpertsPerToken } = model.config;
  const parameters = formatCount(countParameters(model.config));
  const experts = nExperts > 0 ? `, ${nExpertsPerToken} of ${nExperts} experts a token` : '';
  output.line(
    `model    ${parameters} parameters, dim ${dim}, ${nLayers} layers, ${activation}${experts}; zeros: ${sparsifierText(model.config)}`,
  );
  if (nExperts > 1 && nExpertsPerToken === 1) {
    output.note(
      'the share of a single expert is 1 whatever the router says: the loss does not train it, its own terms do',
    );
  }
  const epochs = (config.steps * tokensPerStep) / data.trainTokens;
  output.line(
    data.description ??
      `text     ${formatCount(data.trainTokens)} tokens to train on, ${formatCount(data.validationTokens)} to validate`,
  );
  output.line(
    `training ${config.steps} steps of ${formatCount(tokensPerStep)} tokens (context ${config.seqLen}), ${epochs.toFixed(2)} epochs, ` +
      `${backend.description}`,
  );
  if (resume && run.startStep === 0) output.line('resumed  from the beginning: the run has no checkpoint yet');
  if (run.startStep > 0) output.line(`resumed  after step ${run.startStep} from ${run.lastCheckpoint}`);
}

export function summarise(
  outcome: RunOutcome,
  run: TrainingRun,
  printer: ProgressPrinter,
  directory: string,
  data: RunData,
): TrainSummary {
  const { trainer } = run;
  const { step, tokens, seconds, bestLoss } = trainer.progress;
  const bitsPerByte = bestLoss === null ? null : ((bestLoss / Math.LN2) * data.validationTokens) / data.validationBytes;
  return {
    outcome,
    directory,
    checkpoint: run.lastCheckpoint,
    step,
    steps: trainer.config.steps,
    tokens,
    seconds,
    loss: printer.lastStep?.loss ?? null,
    validationLoss: printer.lastValidation?.loss ?? null,
    bestValidationLoss: bestLoss,
    bitsPerByte,
    tokensPerSecond: seconds > 0 ? tokens / seconds : null,
    modelSparsity: printer.lastStep?.modelSparsity ?? null,
    peakTensorBytes: trainer.model.pool.peakBytes,
    // maxRSS is in KiB on every platform that Node runs on.
    peakProcessBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** `command`: the one that goes on with the run. */
export function printSummary(output: Output, summary: TrainSummary, command: string): void {
  const { step, steps, directory, outcome } = summary;
  output.line(outcome === 'done' ? `done: ${steps} steps` : `stopped after step ${step} of ${steps}`);
  for (const line of resultLines(summary)) output.line(`  ${line}`);
  if (outcome !== 'done') output.line(`go on:    qsparse ${command} --out ${directory} --resume`);
  const speak = command === 'sft' ? `chat ${directory}` : `generate ${directory} --prompt "The"`;
  output.line(`try:      qsparse ${speak}`);
  output.line(`look:     qsparse report ${directory}`);
}

function resultLines(summary: TrainSummary): string[] {
  const { loss, bestValidationLoss, bitsPerByte, tokensPerSecond, modelSparsity } = summary;
  const number = (value: number | null) => value?.toFixed(4) ?? '-';
  const rate = tokensPerSecond === null ? '' : `, ${formatRate(tokensPerSecond, 'tokens')}`;
  return [
    `loss ${number(loss)}, best validation ${number(bestValidationLoss)} (${number(bitsPerByte)} bits/byte)`,
    `${formatCount(summary.tokens)} tokens in ${formatDuration(summary.seconds)}${rate}`,
    `${modelSparsity === null ? '-' : formatPercent(modelSparsity)} of all projection inputs were zero`,
    `memory at most: ${formatBytes(summary.peakTensorBytes)} of tensors, ${formatBytes(summary.peakProcessBytes)} of the process`,
    `checkpoint ${summary.checkpoint ?? '-'}`,
  ];
}
