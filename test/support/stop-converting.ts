/** `qsparse convert` stopped by a signal while it writes. */

import { rmSync } from 'node:fs';
import { type CommandResult, runCommand } from './tiny-checkpoint.ts';

const ATTEMPTS = 8;

/** Sends `signal` as soon as stderr says `word`. A machine may be done before it comes: then `out` goes and all begins anew. */
export async function stopConverting(
  [model, out, ...options]: readonly [string, string, ...string[]],
  word: string,
  signal: NodeJS.Signals,
): Promise<CommandResult> {
  for (let attempt = 1; ; attempt++) {
    let isSent = false;
    const result = await runCommand(['convert', model, out, ...options], {
      onError(child, stderr) {
        if (isSent || !stderr.includes(word)) return;
        // A second Ctrl-C would be another wish.
        isSent = true;
        child.kill(signal);
      },
    });
    if (result.code !== 0 || attempt === ATTEMPTS) return result;
    rmSync(out, { recursive: true });
  }
}
