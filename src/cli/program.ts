/**
 * The commander program: the table of commands, and what all of them have in common.
 *
 * Only the file of the command that was asked for is imported; the others appear in the help by the summary in the
 * table. So `qsparse --help` stays fast however much a command pulls in. Errors are thrown, never printed here:
 * `shared/report-error.ts` turns them into one line and an exit code.
 */

import { Command } from 'commander';
import { packageVersion } from './shared/version.ts';

interface CommandEntry {
  name: string;
  summary: string;
  load: () => Promise<{ register: (program: Command) => void }>;
}

/** In the order of the help: the way of someone new. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'quickstart',
    summary: 'train a small model, dense and sparse, and show the difference',
    load: () => import('./quickstart.ts'),
  },
  { name: 'train', summary: 'train a model on text, from scratch or resumed', load: () => import('./train.ts') },
  {
    name: 'continue',
    summary: 'train a model that exists on, with another sparsity',
    load: () => import('./continue.ts'),
  },
  { name: 'sft', summary: 'fine-tune a model on conversations', load: () => import('./sft.ts') },
  { name: 'generate', summary: 'continue a prompt with a trained model', load: () => import('./generate.ts') },
  { name: 'chat', summary: 'talk with a model that was made for conversations', load: () => import('./chat.ts') },
  {
    name: 'serve',
    summary: 'an OpenAI-compatible server for models, with a playground',
    load: () => import('./serve.ts'),
  },
  {
    name: 'inspect',
    summary: 'shapes, parameters and activated parameters of a model',
    load: () => import('./inspect.ts'),
  },
  {
    name: 'convert',
    summary: 'pack a trained model for inference, or write it for other programs',
    load: () => import('./convert.ts'),
  },
  {
    name: 'calibrate',
    summary: 'thresholds from text that make a dense model sparse',
    load: () => import('./calibrate.ts'),
  },
  {
    name: 'eval',
    summary: 'perplexity and benchmark tasks, at one sparsity or several',
    load: () => import('./eval.ts'),
  },
  {
    name: 'compare',
    summary: 'quality of several models against activated parameters and seconds a token',
    load: () => import('./compare.ts'),
  },
  { name: 'report', summary: 'make one HTML page of the metrics of runs', load: () => import('./report.ts') },
  {
    name: 'law',
    summary: 'the scaling law: train a grid of runs, fit, plan, plot',
    load: () => import('./law.ts'),
  },
  { name: 'doctor', summary: 'what this machine can do and what is missing', load: () => import('./doctor.ts') },
  {
    name: 'bench',
    summary: 'measure selection, decoding and training, dense against sparse',
    load: () => import('./bench.ts'),
  },
];

const EPILOGUE = `
Examples:
  $ qsparse quickstart                             the whole story in minutes
  $ qsparse train --text book.txt --out runs/book
  $ qsparse generate runs/book --prompt "Once"
  $ qsparse report runs/book

qsparse COMMAND --help shows the options of a command.`;

/** The program for these arguments, with the command that they name loaded. */
export async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('qsparse')
    .description('Train and run fully sparsely-activated language models, where the zeros are worth seconds.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EPILOGUE)
    .exitOverride()
    // The one line about an error is printed by report-error.ts, with its own suggestion.
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => {} });
  const wanted = commandNameIn(args);
  for (const { name, summary, load } of COMMANDS) {
    if (name === wanted) (await load()).register(program);
    else program.command(name).description(summary);
  }
  return program;
}

/** `train` of `train --out x` and of `help train`; the program's own options take no values. */
function commandNameIn(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}
