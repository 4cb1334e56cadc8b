/** `qsparse train`: trains a model on text, from scratch or resumed. */

import type { Command } from 'commander';
import type { Backend } from '../backend.ts';
import { loadBackend } from '../backends/load-backend.ts';
import { lockRunDirectory } from '../formats/run-lock.ts';
import type { ModelConfig } from '../model/config.ts';
import { loadRecipe, recipeNames } from '../train/recipes.ts';
import { holdsRun, type RunSettings, readRunSettings, runPaths } from '../train/run-directory.ts';
import type { TokenData } from '../train/token-data.ts';
import type { RunOutcome } from '../train/trainer.ts';
import { TrainingRun } from '../train/training-run.ts';
import { UsageError } from '../util/errors.ts';
import { INTERRUPTED_EXIT_CODE, onInterrupt } from './shared/interrupt.ts';
import { machineText } from './shared/machine.ts';
import { Output } from './shared/output.ts';
import { packageVersion } from './shared/version.ts';
import { checkMemory } from './train/check-memory.ts';
import { type PreparedText, prepareText } from './train/prepare-text.ts';
import { RunProfile } from './train/profile/run-profile.ts';
import { refuseOtherFile } from './train/profile/trace.ts';
import { ProgressPrinter } from './train/progress-printer.ts';
import { newSettings, resumedSettings } from './train/settings.ts';
import { TextSampler } from './train/text-sampler.ts';
import { addTrainOptions, type TrainCommandOptions } from './train/train-options.ts';
import { printStart, printSummary, summarise } from './train/train-summary.ts';

const HELP = `
RECIPE is a module that exports \`recipe: { preset, model, train }\`, or the name of a built-in one${builtIns()};
of a family one member, such as ablations/topk50.
Options override it. Without one: the shape "quickstart", 60 % of every projection's input set to zero, 1000 steps.

Ctrl-C finishes the step, saves, and ends with code ${INTERRUPTED_EXIT_CODE}; --resume goes on to the same numbers as a run that was
never stopped. On resume the model, the text, the batch and the seed are those of the run; steps, rates, intervals,
threads and backend may change.

Examples:
  $ qsparse train --text book.txt --out runs/book
  $ qsparse train --text book.txt --out runs/dense --sparsity 0
  $ qsparse train --text stories.jsonl --out runs/stories --preset d512-l8 --steps 20000 --batch-size 16
  $ qsparse train --out runs/book --resume --steps 2000
  $ qsparse train --text book.txt --out runs/look --steps 20 --profile --trace trace.json`;

export function register(program: Command): void {
  const command = program
    .command('train')
    .description('train a model on text, from scratch or resumed')
    .argument('[recipe]', 'built-in name or path of a recipe')
    .addHelpText('after', HELP);
  addTrainOptions(command).action(train);
}

function builtIns(): string {
  const names = recipeNames();
  return names.length > 0 ? ` (${names.join(', ')})` : '';
}

async function train(recipeName: string | undefined, options: TrainCommandOptions): Promise<void> {
  const output = new Output(options);
  if (options.trace !== undefined) refuseOtherFile(options.trace);
  const settings = await settingsOf(recipeName, options);
  checkDirectory(options);
  checkMemory(settings.model);
  const lock = lockRunDirectory(options.out);
  try {
    checkDirectory(options);
    await trainLocked(settings, options, output);
  } finally {
    lock.release();
  }
}

/** Refuses before anything is written: to begin where a run is, or to resume where none is. */
function checkDirectory({ out, resume }: TrainCommandOptions): void {
  if (holdsRun(out) && !resume) {
    throw new UsageError(
      '--out',
      `${out} holds a run; nothing was written. Add --resume to go on, or choose another --out.`,
    );
  }
  if (!holdsRun(out) && resume) {
    throw new UsageError('--resume', `${out} holds no run. Leave --resume out to begin one, or check --out.`);
  }
}

async function settingsOf(recipeName: string | undefined, options: TrainCommandOptions): Promise<RunSettings> {
  const recipe = recipeName === undefined ? {} : await loadRecipe(recipeName);
  if (options.resume) {
    checkDirectory(options);
    const saved = readRunSettings(options.out);
    const text = { ...saved.text, ...(options.text && { paths: options.text, field: options.textField }) };
    return { ...resumedSettings(saved, options, recipe, runPaths(options.out).settings), text };
  }
  if (options.text === undefined) {
    throw new UsageError(
      '--text',
      'no text was given. Name files or folders: qsparse train --text book.txt --out runs/book',
    );
  }
  return { ...newSettings(options, recipe), text: { paths: options.text, field: options.textField } };
}

async function trainLocked(settings: RunSettings, options: TrainCommandOptions, output: Output): Promise<void> {
  // First, because it may refuse --backend or --threads and the text may take minutes.
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    const text = await prepareText(options, settings, output);
    if (text === null) process.exitCode = INTERRUPTED_EXIT_CODE;
    else await trainOn(text, backend, settings, options, output);
  } finally {
    backend.dispose();
  }
}

async function trainOn(
  text: PreparedText,
  backend: Backend,
  settings: RunSettings,
  options: TrainCommandOptions,
  output: Output,
): Promise<void> {
  const model: ModelConfig = { ...settings.model, vocabSize: text.tokenizer.vocabSize };
  const printer = new ProgressPrinter(output, settings.train);
  const sampler = new TextSampler(model, text.tokenizer, backend, settings.train.seed);
  const profile = RunProfile.begin(options, backend, output);
  const interrupt = onInterrupt(() => output.note('stopping after this step; Ctrl-C again ends at once'));
  try {
    const run = TrainingRun.open({
      directory: options.out,
      settings: { ...settings, model },
      backend: profile?.backend ?? backend,
      observer: profile?.profiler,
      data: text.data,
      tokenizer: text.tokenizerText,
      resume: options.resume,
      machine: machineText(),
      version: packageVersion(),
      onRecord: (record) => printer.record(record),
      sample: (step, trainer) => sampler.sample(step, trainer),
    });
    try {
      printStart(output, run, { backend, data: text.data, resume: options.resume });
      report(await run.run({ signal: interrupt.signal }), run, printer, profile, options, output, text.data);
    } finally {
      output.progress().done();
      run.close();
    }
  } finally {
    interrupt.dispose();
    sampler.dispose();
    text.data.close();
  }
}

function report(
  outcome: RunOutcome,
  run: TrainingRun,
  printer: ProgressPrinter,
  profile: RunProfile | null,
  options: TrainCommandOptions,
  output: Output,
  data: TokenData,
): void {
  output.progress().done();
  const profiled = profile?.finish(run.trainer);
  const summary = summarise(outcome, run, printer, options.out, data);
  printSummary(output, summary);
  output.json({ ...summary, ...profiled });
  if (outcome === 'interrupted') process.exitCode = INTERRUPTED_EXIT_CODE;
}
