/** `qsparse sft`: a model that exists is fine-tuned on conversations, with loss on the answers, dense or sparse. */

import type { Command } from 'commander';
import { loadBackend } from '../backends/load-backend.ts';
import type { SftData } from '../sft/sft-data.ts';
import { checkPrecision } from '../train/check-precision.ts';
import { loadRecipe, type Recipe } from '../train/recipes.ts';
import { type ConversationSettings, type RunSettings, readRunSettings, runPaths } from '../train/run-directory.ts';
import type { TrainConfig } from '../train/train-config.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import { chatText } from './sft/chat-text.ts';
import { type PreparedConversations, prepareConversations } from './sft/prepare-conversations.ts';
import { addSftOptions, type SftOptions } from './sft/sft-options.ts';
import { refuseAdapterOptions, sftSettings, stepsOf, wantedOf } from './sft/sft-settings.ts';
import { INTERRUPTED_EXIT_CODE } from './shared/interrupt.ts';
import { MODEL_HELP, modelPath, TRAINED_ARGUMENT } from './shared/model-argument.ts';
import { type OpenedSource, openSource } from './shared/open-source.ts';
import { Output } from './shared/output.ts';
import { DIVERGED_EXIT_CODE } from './shared/report-error.ts';
import { checkMemory } from './training/check-memory.ts';
import { checkVocabulary } from './training/check-vocabulary.ts';
import { fitRamps } from './training/fit-ramps.ts';
import { checkDirectory, inRunDirectory } from './training/in-run-directory.ts';
import { given as givenFields } from './training/option-kinds.ts';
import { refuseOtherTrace } from './training/profile/trace.ts';
import { refuseOtherCommand } from './training/refuse-other-command.ts';
import { needsSource, recipeOnResume, resumeSettings } from './training/resume-settings.ts';
import { trainFieldsOf } from './training/run-options.ts';
import { openOrigin, originOf, refuseOtherModel } from './training/run-origin.ts';
import { type RunTokenizer, savedTokenizer, saveTokenizer, tokenizerOfSource } from './training/run-tokenizer.ts';
import { runTraining } from './training/run-training.ts';

const HELP = `
${MODEL_HELP}
A packed model is refused, since it has lost what training needs: name what it was made of. The run keeps the tokenizer of MODEL, with the chat template that it was trained on.

A line of --data, or an element of the JSON list that it is, is {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]},
{"conversations": [{"from": "human", "value": "..."}, ...]}, {"prompt", "completion"} or Alpaca's {"instruction", "input", "output"}. Answers count in the loss, nothing else does. Several conversations share a row and see
themselves only. What cannot be used ends the command with its file and line, unless --skip-bad is given.

Ctrl-C finishes the step, saves, and ends with code ${INTERRUPTED_EXIT_CODE}; --resume, without MODEL, goes on to the same numbers as a run that was
never stopped. A training that diverges ends with code ${DIVERGED_EXIT_CODE}, its last checkpoint as it was.

Examples:
  $ qsparse sft SmolLM2-135M-Instruct-Q4_1.gguf --data chats.jsonl --out runs/chats --recompute
  $ qsparse sft runs/sparse --data alpaca.jsonl --template plain --out runs/alpaca --epochs 3
  $ qsparse sft runs/dense --data chats.jsonl --out runs/sparse-chats --sparsity qkv=0.4,o=0.4,gateUp=0.4,down=0.6
  $ qsparse chat runs/chats`;

export function register(program: Command): void {
  const command = program
    .command('sft')
    .description('fine-tune a model on conversations')
    .argument('[model]', `${TRAINED_ARGUMENT}; left out on resume`)
    .addHelpText('after', HELP);
  addSftOptions(command).action(sft);
}

async function sft(given: string | undefined, options: SftOptions): Promise<void> {
  const output = new Output(options);
  if (options.trace !== undefined) refuseOtherTrace(options.trace);
  checkDirectory(options);
  const recipe = options.recipe === undefined ? {} : await loadRecipe(options.recipe);
  const run = options.resume ? resumedRun(given, options, recipe) : await newRun(given, options, recipe, output);
  try {
    // Without gradients and moments of the weights far less is needed.
    if (run.settings.train.loraRank === 0) checkMemory(run.settings.model, run.settings.train);
    await inRunDirectory(options, () => trainLocked(run, options, output));
  } finally {
    run.source?.close();
  }
}

/** What a run is made of, before its data is read. */
interface SftRun {
  recipe: Recipe;
  settings: RunSettings & { conversations: ConversationSettings };
  /** How a run that goes on was trained until now. */
  savedTrain?: TrainConfig;
  text: RunTokenizer;
  /** Open; null where the run goes on from a checkpoint of its own. */
  source: OpenedSource | null;
}

async function newRun(given: string | undefined, options: SftOptions, recipe: Recipe, output: Output): Promise<SftRun> {
  const { data, out, template, skipBad = false } = options;
  if (given === undefined || data === undefined) {
    const missing = given === undefined ? 'a model to begin with' : 'files of conversations (--data)';
    const example = `qsparse sft ${given ?? 'MODEL'} --data chats.jsonl --out ${out}`;
    throw new UsageError('sft', `expected ${missing}, got none. For example: ${example}`);
  }
  const source = openSource(await modelPath(given, output), 'sft');
  try {
    const settings = {
      ...sftSettings(source.config, options, recipe),
      text: { paths: data, field: 'messages' },
      from: originOf(given, source),
      conversations: { skipBad, date: new Date().toISOString(), sha256: '' },
    };
    return { recipe, settings, text: tokenizerOfSource(chatText(source, template)), source };
  } catch (error) {
    source.close();
    throw error;
  }
}

function resumedRun(given: string | undefined, options: SftOptions, recipe: Recipe): SftRun {
  const { out, data, template, skipBad } = options;
  const paths = runPaths(out);
  const saved = readRunSettings(out);
  const { from, conversations } = saved;
  if (conversations === undefined || from === undefined) return refuseOtherCommand(saved, 'sft', out);
  refuseOtherModel(given, from, paths.settings);
  if (template !== undefined) {
    throw new UsageError('--template', `cannot change inside a run: ${out} has its own. Leave it out.`);
  }
  const settings = {
    ...resumeSettings(saved, wantedOf(options, recipeOnResume(recipe)), paths.settings),
    ...(data && { text: { ...saved.text, paths: data } }),
    conversations: { ...conversations, skipBad: skipBad ?? conversations.skipBad },
  };
  refuseAdapterOptions(options, settings.train);
  const source = needsSource(settings, out) ? openOrigin(from, 'sft') : null;
  return { recipe, settings, savedTrain: saved.train, text: savedTokenizer(out), source };
}

async function trainLocked(
  { recipe, settings, savedTrain, text, source }: SftRun,
  options: SftOptions,
  output: Output,
): Promise<void> {
  const { out, resume } = options;
  checkVocabulary(text.tokenizer, settings);
  // First, because it may refuse --backend or --threads and the data may take minutes.
  const backend = await loadBackend({ ...options, notice: (line) => output.note(line) });
  try {
    checkPrecision(settings.train.precision, backend);
    const prepared = prepareConversations(
      {
        ...{ paths: settings.text.paths, skipBad: settings.conversations.skipBad },
        date: settings.conversations.date,
        ...{ text, model: settings.model, train: settings.train, modelPath: settings.from?.path ?? out },
      },
      output,
    );
    const { data, description, firstPrompt: samplePrompt } = prepared;
    const complete = withData(settings, savedTrain, prepared, options, recipe);
    if (!resume) saveTokenizer(out, text);
    const initial = source ?? undefined;
    const described = Object.assign(data, { description });
    await runTraining(
      { command: 'sft', settings: complete, options, backend, text, data: described, samplePrompt, initial },
      output,
    );
  } finally {
    backend.dispose();
  }
}

/** The settings with what only the data says: how many steps they are, and by what they are known again. */
function withData(
  settings: SftRun['settings'],
  savedTrain: TrainConfig | undefined,
  { data, sha256 }: PreparedConversations,
  options: SftOptions,
  recipe: Recipe,
): RunSettings {
  const { text, conversations } = settings;
  if (options.resume && sha256 !== conversations.sha256) {
    const what = 'are not the conversations that the run was trained on';
    throw new FormatError('sft', `${text.paths.join(', ')} ${what}. Restore them, or start a new run.`, text.paths[0]);
  }
  return {
    ...settings,
    train: withSteps(settings, savedTrain, data, options, recipe),
    conversations: { ...conversations, sha256 },
  };
}

function withSteps(
  { model, train }: RunSettings,
  savedTrain: TrainConfig | undefined,
  data: SftData,
  options: SftOptions,
  recipe: Recipe,
): TrainConfig {
  const { epochs, ...rest } = options;
  const length = givenFields({ steps: stepsOf(options, recipe, data.trainRows, train) });
  const timed = { ...rest, ...length };
  if (savedTrain) return fitRamps({ ...train, ...length }, trainFieldsOf(timed), savedTrain);
  return fitRamps(sftSettings(model, timed, recipe).train, trainFieldsOf(timed));
}
