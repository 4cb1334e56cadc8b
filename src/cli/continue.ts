/**
 * `qsparse continue`: a model that exists, of whatever program, is trained on with another sparsity: what makes a dense model sparse and lets it
 * recover.
 */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { checkPrecision } from '../train/check-precision.ts';
import { loadRecipe, type Recipe } from '../train/recipes.ts';
import { ReplayedData } from '../train/replayed-data.ts';
import { type RunSettings, readRunSettings, runPaths } from '../train/run-directory.ts';
import { openTextSource } from '../train/text-source.ts';
import type { TrainConfig } from '../train/train-config.ts';
import { UsageError } from '../util/errors.ts';
import { addContinueOptions, type ContinueOptions } from './continue/continue-options.ts';
import { continueSettings, refuseTemperature, wantedOf } from './continue/continue-settings.ts';
import { INTERRUPTED_EXIT_CODE } from './shared/interrupt.ts';
import { MODEL_HELP, modelPath, TRAINED_ARGUMENT } from './shared/model-argument.ts';
import { type OpenedSource, openSource } from './shared/open-source.ts';
import { Output } from './shared/output.ts';
import { DIVERGED_EXIT_CODE } from './shared/report-error.ts';
import { checkMemory } from './training/check-memory.ts';
import { checkVocabulary } from './training/check-vocabulary.ts';
import { fitRamps } from './training/fit-ramps.ts';
import { checkDirectory, inRunDirectory } from './training/in-run-directory.ts';
import { prepareTokens } from './training/prepare-tokens.ts';
import { refuseOtherTrace } from './training/profile/trace.ts';
import { refuseOtherCommand } from './training/refuse-other-command.ts';
import { needsSource, recipeOnResume, resumedText, resumeSettings } from './training/resume-settings.ts';
import type { RunData } from './training/run-data.ts';
import { DEFAULT_TEXT_FIELD } from './training/run-options.ts';
import { openOrigin, originOf, refuseOtherModel } from './training/run-origin.ts';
import { type RunTokenizer, savedTokenizer, saveTokenizer, tokenizerOfSource } from './training/run-tokenizer.ts';
import { runTraining } from './training/run-training.ts';

const HELP = `
${MODEL_HELP}
A packed model is refused, since it has lost what training needs: name what it was made of. The run keeps the tokenizer of MODEL.

A dense model gets 40 % zeros before q, k, v, o, gate and up and, behind SiLU gates, 60 % before down; --sparsity 0 trains it on as it is. The gate
stays (SiLU), unless --activation or a ReLU (--sparsifier relu, norm-relu, drelu) is asked for. The learning rate warms up again.

Ctrl-C finishes the step, saves, and ends with code ${INTERRUPTED_EXIT_CODE}; --resume, without MODEL, goes on to the same numbers as a run that was
never stopped. A training that diverges ends with code ${DIVERGED_EXIT_CODE}, its last checkpoint as it was.

Examples:
  $ qsparse continue SmolLM2-135M-Instruct-Q4_1.gguf --text books --out runs/smollm2 --tokens 1_000_000 --recompute
  $ qsparse continue stories15M.bin --text stories.txt --out runs/stories --sparsity qkv=0.5,o=0.5,gateUp=0.5,down=0.8
  $ qsparse continue runs/dense --text book.txt --out runs/relufied --sparsifier relu --hidden-l1 1e-4
  $ qsparse continue --out runs/smollm2 --resume`;

export function register(program: Command): void {
  const command = program
    .command('continue')
    .description('train a model that exists on, with another sparsity')
    .argument('[model]', `${TRAINED_ARGUMENT}; left out on resume`)
    .addHelpText('after', HELP);
  addContinueOptions(command).action(continueTraining);
}

async function continueTraining(given: string | undefined, options: ContinueOptions): Promise<void> {
  const output = new Output(options);
  if (options.trace !== undefined) refuseOtherTrace(options.trace);
  checkDirectory(options);
  const recipe = options.recipe === undefined ? {} : await loadRecipe(options.recipe);
  const run = options.resume ? resumedRun(given, options, recipe) : await newRun(given, options, recipe, output);
  try {
    checkMemory(run.settings.model, run.settings.train);
    await inRunDirectory(options, () => trainLocked(run, options, output));
  } finally {
    run.source?.close();
  }
}

/** What a run is made of, before its text is read. */
interface ContinuedRun {
  settings: RunSettings;
  text: RunTokenizer;
  /** Open; null where the run goes on from a checkpoint of its own. */
  source: OpenedSource | null;
}

async function newRun(
  given: string | undefined,
  options: ContinueOptions,
  recipe: Recipe,
  output: Output,
): Promise<ContinuedRun> {
  const { text, textField = DEFAULT_TEXT_FIELD, out } = options;
  if (given === undefined) {
    const example = `qsparse continue MODEL --text book.txt --out ${out}`;
    throw new UsageError('continue', `expected a model to begin with, got none. Name it: ${example}`);
  }
  if (text === undefined) {
    const example = `qsparse continue ${given} --text book.txt --out ${out}`;
    throw new UsageError('--text', `no text was given. Name files or folders: ${example}`);
  }
  const source = openSource(await modelPath(given, output), 'continue');
  try {
    const { replay } = options;
    const { model, train } = continueSettings(source.config, options, recipe);
    checkReplay(train, replay);
    const settings = {
      ...{ model, train },
      ...(replay && { replay: { paths: replay } }),
      text: { paths: text, field: textField },
      from: originOf(given, source),
    };
    return { settings, text: tokenizerOfSource(source), source };
  } catch (error) {
    source.close();
    throw error;
  }
}

function resumedRun(given: string | undefined, options: ContinueOptions, recipe: Recipe): ContinuedRun {
  const { out, replay } = options;
  const paths = runPaths(out);
  const saved = readRunSettings(out);
  if (saved.from === undefined || saved.conversations !== undefined) return refuseOtherCommand(saved, 'continue', out);
  refuseOtherModel(given, saved.from, paths.settings);
  const wanted = wantedOf(options, recipeOnResume(recipe), saved.train.replayShare);
  const resumed = resumeSettings(saved, wanted, paths.settings);
  const settings = {
    ...resumed,
    train: fitRamps(resumed.train, wanted.train, saved.train),
    text: resumedText(saved.text, options),
    ...(replay && { replay: { paths: replay } }),
  };
  checkReplay(settings.train, settings.replay?.paths);
  refuseTemperature(options, settings.train);
  const source = needsSource(settings, out) ? openOrigin(saved.from, 'continue') : null;
  return { settings, text: savedTokenizer(out), source };
}

async function trainLocked(
  { settings, text, source }: ContinuedRun,
  options: ContinueOptions,
  output: Output,
): Promise<void> {
  const { out, resume } = options;
  const { tokenizer } = text;
  checkVocabulary(tokenizer, settings);
  // First, because it may refuse --backend or --threads and the text may take minutes.
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    checkPrecision(settings.train.precision, backend);
    if (!resume) saveTokenizer(out, text);
    const data = await openData(settings, tokenizer, options, output);
    if (data === null) {
      process.exitCode = INTERRUPTED_EXIT_CODE;
      return;
    }
    try {
      const initial = source ?? undefined;
      await runTraining({ command: 'continue', settings, options, backend, text, data, initial }, output);
    } finally {
      data.close();
    }
  } finally {
    backend.dispose();
  }
}

/** The text in tokens, with the share of what is replayed; null where Ctrl-C came. */
async function openData(
  { text, replay, train }: RunSettings,
  tokenizer: Tokenizer,
  { out, resume }: ContinueOptions,
  output: Output,
): Promise<(RunData & { close(): void }) | null> {
  const { tokens, replay: replayed } = runPaths(out);
  const prepare = (paths: string[], directory: string, isValidated: boolean) => {
    const source = openTextSource(paths, { field: text.field });
    return prepareTokens({ source, tokenizer, directory, train, resume, isValidated }, output);
  };
  const data = await prepare(text.paths, tokens, true);
  if (data === null || replay === undefined) return data;
  const other = await prepare(replay.paths, replayed, false);
  if (other === null) {
    data.close();
    return null;
  }
  const mixed = new ReplayedData(data, other, train.replayShare);
  const close = () => {
    data.close();
    other.close();
  };
  return Object.assign(mixed, { trainTokens: data.trainTokens, close });
}

/** A share without data, or data without a share, is a mistake. */
function checkReplay({ replayShare }: TrainConfig, paths: readonly string[] | undefined): void {
  if (replayShare > 0 && paths === undefined) {
    throw new UsageError('--replay-share', 'there is nothing to replay. Name text with --replay.');
  }
  if (replayShare === 0 && paths !== undefined) {
    throw new UsageError(
      '--replay',
      'its share is 0: expected one above it. Leave --replay out, or give --replay-share.',
    );
  }
}
