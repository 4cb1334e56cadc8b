/**
 * What a failed command prints and with which code it ends: 0 is for help and version, 1 for failed, 2 for wrong usage, 3 for a training that
 * diverged, so that a program can tell a rate that is too high from a full disk.
 *
 * One line on stderr. A QSparseError is the user's to mend and says how; anything else is a defect of this program, which
 * the line says too. QSPARSE_DEBUG=1 adds the stack.
 */

import { type Command, CommanderError } from 'commander';
import { DivergenceError } from '../../train/divergence-error.ts';
import { messageOf, nearestName, QSparseError } from '../../util/errors.ts';
import { paint, type TextStream } from './terminal.ts';

const HELP_CODES: readonly string[] = ['commander.help', 'commander.helpDisplayed', 'commander.version'];

/** What `train`, `continue` and `sft` end with where the training breaks down. */
export const DIVERGED_EXIT_CODE = 3;

/** Prints `error`, thrown while `program` was made, parsed or run, and returns the exit code. */
export function reportError(error: unknown, program?: Command, stderr: TextStream = process.stderr): 0 | 1 | 2 | 3 {
  if (error instanceof CommanderError) {
    // Help that was not asked for (`bench` alone) is printed by commander with a code of its own.
    if (HELP_CODES.includes(error.code)) return error.exitCode === 0 ? 0 : 2;
    print(program ? usageMessage(error, program) : error.message, stderr);
    return 2;
  }
  if (error instanceof QSparseError) {
    print(error.message, stderr);
  } else {
    const kind = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : '';
    print(`unexpected: ${kind}${messageOf(error)}. Please report it with the output of QSPARSE_DEBUG=1.`, stderr);
  }
  if (process.env.QSPARSE_DEBUG === '1' && error instanceof Error) printStack(error, stderr);
  if (error instanceof DivergenceError) return DIVERGED_EXIT_CODE;
  return error instanceof QSparseError ? error.exitCode : 1;
}

function print(message: string, stderr: TextStream): void {
  stderr.write(`${paint('red', 'error:', stderr)} ${message.replace(/\s*\n\s*/g, ' ')}\n`);
}

function printStack(error: Error, stderr: TextStream): void {
  stderr.write(`${error.stack ?? error.message}\n`);
  if (error.cause instanceof Error) stderr.write(`caused by ${error.cause.stack ?? error.cause.message}\n`);
}

/** Commander's `error: unknown option '--thread'` as one line with the nearest name and where to read on. */
function usageMessage(error: CommanderError, program: Command): string {
  const message = error.message.replace(/^error: /, '').replace(/\.?$/, '.');
  const given = /'([^']*)'/.exec(message)?.[1] ?? '';
  const path = commandPath(program);
  const command = path[path.length - 1];
  const names =
    error.code === 'commander.unknownOption'
      ? command.options.flatMap((option) => option.long ?? [])
      : error.code === 'commander.unknownCommand'
        ? command.commands.map((candidate) => candidate.name())
        : [];
  const near = nearestName(given, names);
  return `${message}${near ? ` Did you mean ${near}?` : ''} See ${path.map((step) => step.name()).join(' ')} --help.`;
}

/** The program, the command that its arguments name, and that command's own where it has any. */
function commandPath(program: Command): Command[] {
  const path = [program];
  for (const argument of program.args) {
    const next = path[path.length - 1].commands.find((candidate) => candidate.name() === argument);
    if (next === undefined) break;
    path.push(next);
  }
  return path;
}
