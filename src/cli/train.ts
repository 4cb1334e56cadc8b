/** `qsparse train`: trains a model on text, from scratch or resumed. */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import { checkPrecision } from '../train/check-precision.ts';
import { loadRecipe, recipeNames } from '../train/recipes.ts';
import { type RunSettings, readRunSettings, runPaths } from '../train/run-directory.ts';
import { UsageError } from '../util/errors.ts';
import { INTERRUPTED_EXIT_CODE } from './shared/interrupt.ts';
import { Output } from './shared/output.ts';
import { DIVERGED_EXIT_CODE } from './shared/report-error.ts';
import { prepareText } from './train/prepare-text.ts';
import { addTrainOptions, type TrainCommandOptions } from './train/train-options.ts';
import { newSettings, resumedSettings } from './train/train-settings.ts';
import { checkMemory } from './training/check-memory.ts';
import { checkDirectory, inRunDirectory } from './training/in-run-directory.ts';
import { refuseOtherTrace } from './training/profile/trace.ts';
import { refuseOtherCommand } from './training/refuse-other-command.ts';
import { resumedText } from './training/resume-settings.ts';
import { DEFAULT_TEXT_FIELD } from './training/run-options.ts';
import { runTraining } from './training/run-training.ts';

const HELP = `
RECIPE is a module that exports \`recipe: { preset, model, train }\`, or the name of a built-in one${builtIns()};
of a family one member, such as ablations/topk50 (conversions and fine-tuning are for qsparse continue and qsparse sft).
Options override it. Without one: the shape "quickstart", 60 % zeros before q, k, v, o, gate and up, before down those that ReLU^2 makes, 1000 steps.

Ctrl-C finishes the step, saves, and ends with code ${INTERRUPTED_EXIT_CODE}; --resume goes on to the same numbers as a run that was
never stopped. On resume the model, the text, the batch and the seed are those of the run; steps, rates, intervals,
threads and backend may change, by options: how RECIPE trains counts for a new run alone. A training that diverges ends with
code ${DIVERGED_EXIT_CODE}, its last checkpoint as it was.

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
  if (options.trace !== undefined) refuseOtherTrace(options.trace);
  const settings = await settingsOf(recipeName, options);
  checkMemory(settings.model, settings.train);
  await inRunDirectory(options, () => trainLocked(settings, options, output));
}

async function settingsOf(recipeName: string | undefined, options: TrainCommandOptions): Promise<RunSettings> {
  const recipe = recipeName === undefined ? {} : await loadRecipe(recipeName);
  if (options.resume) {
    checkDirectory(options);
    const saved = readRunSettings(options.out);
    if (saved.from !== undefined) refuseOtherCommand(saved, 'train', options.out);
    const text = resumedText(saved.text, options);
    return { ...resumedSettings(saved, options, recipe, runPaths(options.out).settings), text };
  }
  if (options.text === undefined) {
    throw new UsageError(
      '--text',
      'no text was given. Name files or folders: qsparse train --text book.txt --out runs/book',
    );
  }
  const { text, textField = DEFAULT_TEXT_FIELD } = options;
  return { ...newSettings(options, recipe), text: { paths: text, field: textField } };
}

async function trainLocked(settings: RunSettings, options: TrainCommandOptions, output: Output): Promise<void> {
  // First, because it may refuse --backend or --threads and the text may take minutes.
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    checkPrecision(settings.train.precision, backend);
    const text = await prepareText(options, settings, output);
    if (text === null) {
      process.exitCode = INTERRUPTED_EXIT_CODE;
      return;
    }
    try {
      const model = { ...settings.model, vocabSize: text.tokenizer.vocabSize };
      const { data } = text;
      await runTraining({ command: 'train', settings: { ...settings, model }, options, backend, text, data }, output);
    } finally {
      text.data.close();
    }
  } finally {
    backend.dispose();
  }
}
