/** `qsparse convert` stopped by a signal while it writes. */

import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { type CommandResult, MAIN } from './tiny-checkpoint.ts';

const ATTEMPTS = 8;

/** Sends `signal` as soon as stderr says `word`. A machine may be done before it comes: then `out` goes and all begins anew. */
export async function stopConverting(
  [model, out, ...options]: readonly [string, string, ...string[]],
  word: string,
  signal: NodeJS.Signals,
): Promise<CommandResult> {
  for (let attempt = 1; ; attempt++) {
    const child = spawn(process.execPath, [MAIN, 'convert', model, out, ...options], { stdio: 'pipe' });
    const result = await stopAt(child, word, signal);
    if (result.code !== 0 || attempt === ATTEMPTS) return result;
    rmSync(out, { recursive: true });
  }
}

function stopAt(child: ChildProcess, word: string, signal: NodeJS.Signals): Promise<CommandResult> {
  const result: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout!.on('data', (data: Buffer) => {
    result.stdout += data.toString();
  });
  child.stderr!.on('data', (data: Buffer) => {
    const isFirst = !result.stderr.includes(word);
    result.stderr += data.toString();
    if (isFirst && result.stderr.includes(word)) child.kill(signal);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...result, code })));
}
