#!/usr/bin/env node
/**
 * The entry of `qsparse`: parses, runs one command, ends with 0 (done), 1 (failed), 2 (wrong usage) or 3 (a training diverged).
 *
 * A reader that closes the pipe early (`| head`) is a Ctrl-C: a run in training saves before it ends. Commands stop what
 * they started (threads, timers); the process then ends by itself, so that no output is lost in a pipe.
 */

import type { Command } from 'commander';
import { createProgram } from './program.ts';
import { stopOnLostOutput } from './shared/lost-output.ts';
import { reportError } from './shared/report-error.ts';

stopOnLostOutput();

const args = process.argv.slice(2);
let program: Command | undefined;
try {
  program = await createProgram(args);
  if (args.length === 0) program.outputHelp();
  else await program.parseAsync(args, { from: 'user' });
} catch (error) {
  process.exitCode = reportError(error, program);
}
