/**
 * Ctrl-C: the first asks the command to stop cleanly (finish the step, save, print what there is), the second ends at once.
 *
 * The question is an AbortSignal, looked at between two units of work. JavaScript sees a signal only when the event loop
 * turns, so a loop of synchronous work must await something (a `setImmediate`) between units.
 */

import type { Output } from './output.ts';

/** What a shell expects of a program that SIGINT ended: 128 + 2. */
export const INTERRUPTED_EXIT_CODE = 130;

export interface Interrupt {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Gives the signals back to their default; to be called in a `finally`. */
  dispose(): void;
}

/** Listens for SIGINT and SIGTERM; `handler` is called once, at the first (to say that the command is stopping). */
export function onInterrupt(handler?: () => void): Interrupt {
  const controller = new AbortController();
  const listener = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED_EXIT_CODE);
    controller.abort();
    handler?.();
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}

/**
 * Runs a command that writes all or nothing. Stopped by Ctrl-C, which it says by throwing the reason of `signal`, it ends with a line and the exit
 * code of an interrupted program; other errors pass through.
 */
export async function allOrNothing(output: Output, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { signal, dispose } = onInterrupt();
  try {
    await run(signal);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    output.progress().done('stopped; nothing was written');
    process.exitCode = INTERRUPTED_EXIT_CODE;
  } finally {
    dispose();
  }
}
