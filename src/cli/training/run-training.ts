/**
 * runTraining: from data, settings and a backend to the end of the run, with everything that is shown on the way. What all commands that train have in
 * common; how their settings, data and initial values come about is theirs.
 */

import type { Backend } from '../../backend.ts';
import type { InitialParameters } from '../../model/initial-parameters.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import type { RunOutcome } from '../../train/trainer.ts';
import { TrainingRun } from '../../train/training-run.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from '../shared/interrupt.ts';
import { machineText } from '../shared/machine.ts';
import type { Output } from '../shared/output.ts';
import { packageVersion } from '../shared/version.ts';
import { RunProfile } from './profile/run-profile.ts';
import { ProgressPrinter } from './progress-printer.ts';
import type { RunData } from './run-data.ts';
import type { RunOptions } from './run-options.ts';
import type { RunTokenizer } from './run-tokenizer.ts';
import { TextSampler } from './text-sampler.ts';
import { printStart, printSummary, summarise } from './train-summary.ts';

export interface TrainingJob {
  /** The name of the command, for what it says to do next. */
  command: string;
  /** Complete: the vocabulary is that of the tokenizer. */
  settings: RunSettings;
  options: RunOptions;
  backend: Backend;
  text: RunTokenizer;
  data: RunData;
  /** What samples go on from, where that is more than a word. */
  samplePrompt?: string;
  /** The values that a new run begins with; fresh ones by default. */
  initial?: InitialParameters | undefined;
}

/** Trains, prints and sets the exit code. Holds neither the lock of the directory nor the data: the caller does. */
export async function runTraining(job: TrainingJob, output: Output): Promise<void> {
  const { settings, options, backend, text, data, initial, samplePrompt } = job;
  const printer = new ProgressPrinter(output, settings.train);
  const sampler = new TextSampler(settings.model, text.tokenizer, backend, settings.train.seed, samplePrompt);
  const profile = RunProfile.begin(options, backend, output);
  const interrupt = onInterrupt(() => output.note('stopping after this step; Ctrl-C again ends at once'));
  try {
    const run = TrainingRun.open({
      directory: options.out,
      settings,
      backend: profile?.backend ?? backend,
      observer: profile?.profiler,
      data,
      initial,
      tokenizer: text.tokenizerText,
      tokenizerConfig: text.tokenizerConfig,
      resume: options.resume,
      machine: machineText(),
      version: packageVersion(),
      onRecord: (record) => printer.record(record),
      onValidation: (done, total) => printer.validating(done, total),
      sample: (step, trainer) => sampler.sample(step, trainer),
    });
    try {
      printStart(output, run, { backend, data, resume: options.resume });
      report(await run.run({ signal: interrupt.signal }), run, job, printer, profile, output);
    } finally {
      output.progress().done();
      run.close();
    }
  } finally {
    interrupt.dispose();
    sampler.dispose();
  }
}

function report(
  outcome: RunOutcome,
  run: TrainingRun,
  { command, options, data }: TrainingJob,
  printer: ProgressPrinter,
  profile: RunProfile | null,
  output: Output,
): void {
  output.progress().done();
  const profiled = profile?.finish(run.trainer);
  const summary = summarise(outcome, run, printer, options.out, data);
  printSummary(output, summary, command);
  output.json({ ...summary, ...profiled });
  if (outcome === 'interrupted') process.exitCode = INTERRUPTED_EXIT_CODE;
}
