#!/usr/bin/env node
/**
 * The entry of `qsparse`: parses, runs one command, ends with 0 (done), 1 (failed) or 2 (wrong usage).
 *
 * A reader that closes the pipe early (`| head`) ends the program quietly. Commands stop what they started (threads,
 * timers); the process then ends by itself, so that no output is lost in a pipe.
 */

import type { Command } from 'commander';
import { createProgram } from './program.ts';
import { reportError } from './shared/report-error.ts';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

const args = process.argv.slice(2);
let program: Command | undefined;
try {
  program = await createProgram(args);
  if (args.length === 0) program.outputHelp();
  else await program.parseAsync(args, { from: 'user' });
} catch (error) {
  process.exitCode = reportError(error, program);
}
