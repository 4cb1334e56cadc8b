/** `qsparse serve` as a process, on a port that is free, with OpenAI's own client for it. */

import { type ChildProcess, spawn } from 'node:child_process';
import OpenAI from 'openai';
import { MAIN } from './tiny-checkpoint.ts';

export interface ServeProcess {
  readonly url: string;
  readonly client: OpenAI;
  readonly child: ChildProcess;
  /** All that it has printed for people. */
  readonly log: () => string;
  /** The exit code. */
  readonly closed: Promise<number | null>;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface ServeProcessOptions {
  apiKey?: string;
  /** Default: any that is free. */
  port?: number;
  env?: NodeJS.ProcessEnv;
  /** A file in place of the log. */
  stderr?: 'pipe' | number;
}

/** Resolves when it listens; throws with what it printed where it ends before. */
export async function startServe(
  args: readonly string[],
  { apiKey = 'none', port = 0, env = {}, stderr = 'pipe' }: ServeProcessOptions = {},
): Promise<ServeProcess> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args, '--port', String(port), '--json'], {
    stdio: ['ignore', 'pipe', stderr],
    env: { ...process.env, ...env },
  });
  let log = '';
  child.stderr?.on('data', (data: Buffer) => {
    log += data.toString();
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (data: Buffer) => resolve((JSON.parse(data.toString()) as { url: string }).url));
    void closed.then((code) => reject(new Error(`serve ended with ${code}: ${log}`)));
  });
  return {
    url,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 }),
    child,
    log: () => log,
    closed,
    stop(signal = 'SIGINT') {
      child.kill(signal);
      return closed;
    },
  };
}
