/**
 * What happens when stdout or stderr takes no more: a reader has closed the pipe, or the disk behind it is full.
 *
 * The command is asked to stop as by Ctrl-C, so that it saves what it has done; one that does not listen ends at once. A
 * closed pipe is no error (`| head`); anything else is one line and code 1. A server, whose work is not what it prints, goes on.
 */

import { messageOf } from '../../util/errors.ts';

let outputMatters = true;

/** From now on the command goes on when nobody takes what it prints. */
export function goOnWithoutOutput(): void {
  outputMatters = false;
}

/** Listens to both streams for the life of the process. */
export function stopOnLostOutput(): void {
  let stopping = false;
  for (const [stream, name] of [[process.stdout, 'stdout'] as const, [process.stderr, 'stderr'] as const]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Each later write fails again; a second Ctrl-C would end the process before it has saved.
      if (stopping || !outputMatters) return;
      stopping = true;
      if (error.code !== 'EPIPE') fail(name, error);
      if (process.listenerCount('SIGINT') === 0) process.exit();
      process.emit('SIGINT', 'SIGINT');
    });
  }
}

function fail(name: string, error: NodeJS.ErrnoException): void {
  const full = error.code === 'ENOSPC';
  const reason = full ? 'the disk is full. Free some space and try again' : messageOf(error);
  if (name === 'stdout') process.stderr.write(`error: [output] cannot write to stdout: ${reason}.\n`);
  process.exitCode = 1;
  process.once('exit', () => {
    process.exitCode = 1;
  });
}
